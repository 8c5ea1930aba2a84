# frozen_string_literal: true

RSpec.describe "Rack::StreamingProxy.forward" do
  include HijackedCalls

  let(:upstream) { serving { |request| [201, { "X-A" => "b" }, request.head.target] } }
  let(:quiet) { { logger: Logger.new(nil) } }

  def forwarding(to, **options)
    ->(env) { Rack::StreamingProxy.forward(env, to:, **quiet, **options) }
  end

  def with_rails(settings)
    Rack::StreamingProxy::Configuration.rails = settings
    yield
  ensure
    Rack::StreamingProxy::Configuration.rails = {}
  end

  it "gives the answer that the middleware gives" do
    app = Rack::Lint.new(forwarding(upstream.url("/a?b=c")))
    answers = [app, linted { upstream.url("/a?b=c") }].map { |one| fetch(one) }
    expect(answers.map(&:to_a).uniq.size).to eq(1)
    expect(answers.first).to have_attributes(status: 201, body: "/a?b=c")
    expect(answers.first["x-a"]).to eq("b")
  end

  it "takes a String, a URI or a Target, whose settings win" do
    url = upstream.url("/x")
    target = Rack::StreamingProxy::Target.new(url, headers: { "X-Who" => "target" })
    [url, URI(url), target].each do |to|
      expect(fetch(forwarding(to, headers: { "X-Who" => "option" })).body).to eq("/x")
    end
    expect(upstream.requests.map { |head| head["x-who"] }).to eq(%w[option option target])
  end

  { nil => /to: takes a String, a URI or a Target, not nil/, false => /not false/,
    "/relative" => /no URL of an upstream/, 42 => /no URL of an upstream/ }.each do |to, message|
    it "raises for what is no URL: #{to.inspect}" do
      expect { fetch(forwarding(to)) }
        .to raise_error(Rack::StreamingProxy::ConfigurationError, message)
    end
  end

  it "raises for an option that is no setting, or has no such value, each time" do
    2.times do
      expect { fetch(forwarding(upstream.url, read_timeout: 1)) }
        .to raise_error(Rack::StreamingProxy::ConfigurationError, /read_timeout is no setting here/)
      expect { fetch(forwarding(upstream.url, timeout: -1)) }
        .to raise_error(Rack::StreamingProxy::ConfigurationError, /timeout: -1 will not do/)
    end
  end

  it "answers or raises errors as it is told to" do
    url = "http://127.0.0.1:#{closed_port}/"
    expect(fetch(forwarding(url)).status).to eq(502)
    expect { fetch(forwarding(url, raise_on_error: true)) }
      .to raise_error(Rack::StreamingProxy::ConnectError)
  end

  it "has the settings of the layers below, those of this moment" do
    who = -> { fetch(forwarding(upstream.url)) && upstream.requests.last["x-who"] }
    expect(who.call).to be_nil
    with_rails(headers: { "X-Who" => "Rails" }) { expect(who.call).to eq("Rails") }
    expect(who.call).to be_nil
  end

  it "merges equal options once, however often it is called" do
    allow(Rack::StreamingProxy::Configuration).to receive(:new).and_call_original
    with_rails({}) do
      3.times { fetch(forwarding(upstream.url, headers: { "X-Who" => "me" }, timeout: 5)) }
    end
    expect(Rack::StreamingProxy::Configuration).to have_received(:new).once
  end

  it "notices that a Hash among its options has changed" do
    headers = { "X-Who" => +"one" }
    app = forwarding(upstream.url, headers:)
    fetch(app)
    headers["X-Who"] << " and two"
    fetch(app)
    expect(upstream.requests.map { |head| head["x-who"] }).to eq(["one", "one and two"])
  end

  it "keeps a few merged settings only, and all of them work" do
    counted = lambda do
      GC.start
      ObjectSpace.each_object(Rack::StreamingProxy::Configuration).count
    end
    before = counted.call
    500.times { |number| fetch(forwarding(upstream.url, headers: { "X-Who" => number.to_s })) }
    expect(counted.call - before).to be < 200
    expect(upstream.requests.map { |head| head["x-who"].to_i }).to eq([*0...500])
  end

  it "can be called by many threads, each with settings of its own" do
    threads = Array.new(8) do |number|
      in_thread do
        app = forwarding(upstream.url("/#{number}"), headers: { "X-Who" => number.to_s })
        Array.new(20) { fetch(app).body }
      end
    end
    expect(threads.map(&:value)).to eq(Array.new(8) { |number| ["/#{number}"] * 20 })
    expect(upstream.requests.map { |head| head.target == "/#{head["x-who"]}" }.uniq).to eq([true])
  end

  it "hands the client's socket over under delivery: :hijack" do
    server, client = socket_pair
    hand_over(answer_offered(forwarding(upstream.url("/a"), delivery: :hijack)), server)
    expect(client.read).to eq("/a")
  end

  it "serves below a path of a Rack::Builder" do
    url = upstream.url("")
    app = Rack::Builder.new do
      map("/files") do
        run(lambda do |env|
          to = "#{url}#{Rack::Request.new(env).fullpath}"
          Rack::StreamingProxy.forward(env, to:, logger: Logger.new(nil))
        end)
      end
    end
    expect(fetch(app.to_app, "/files/a?b=c").body).to eq("/files/a?b=c")
  end
end
