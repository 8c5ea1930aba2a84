# frozen_string_literal: true

require "uri"

RSpec.describe Rack::StreamingProxy::Proxy, "and its block" do
  let(:upstream) do
    serving { |request| [200, { "Content-Type" => "text/plain" }, "saw #{request.head.target}"] }
  end

  # A subclass that decides by itself, as the 2.x forks do.
  let(:subclass) do
    Class.new(described_class) do
      def self.upstream(url = nil)
        url ? @upstream = url : @upstream
      end

      def destination_uri(request)
        "#{self.class.upstream}#{request.path}" if request.path.start_with?("/proxy")
      end
    end
  end

  it "gets a Rack::Request and proxies to the String that it returns" do
    seen = nil
    app = linted do |request|
      seen = request
      upstream.url("/there")
    end
    answer = fetch(app, "/here")
    expect(answer.status).to eq(200)
    expect(answer.body).to eq("saw /there")
    expect(seen).to be_a(Rack::Request)
    expect(seen.path).to eq("/here")
  end

  it "may return a URI" do
    expect(fetch(linted { URI(upstream.url("/u?a=1")) }).body).to eq("saw /u?a=1")
  end

  it "may return a Target with a URL and options" do
    app = linted do
      Rack::StreamingProxy::Target.new(upstream.url("/t"), headers: { "X-Own" => "1" })
    end
    expect(fetch(app).body).to eq("saw /t")
    expect(upstream.wait_for_request["X-Own"]).to eq("1")
  end

  [nil, false].each do |value|
    it "passes the request on, untouched, when it returns #{value.inspect}" do
      seen = nil
      inner = lambda { |env|
        seen = env
        [200, { "Content-Type" => "text/plain" }, [env["rack.input"].read]]
      }
      env = env_for("/x?y=1", method: "POST", input: "body")
      before = env.dup
      status, _, body = bare(app: inner) { value }.call(env)
      expect([status, read(body)]).to eq([200, "body"])
      expect(seen).to equal(env)
      expect(seen).to include(before)
      expect(upstream.requests).to be_empty
    end
  end

  it "hands the inner application's response through as it is" do
    response = [200, { "Content-Type" => "text/plain" }, ["x"]]
    expect(bare(app: ->(_env) { response }) { nil }.call(env_for)).to equal(response)
  end

  it "may use return" do
    # A method's block, whose `return` would leave a method that has long ended.
    def build_returning(url)
      bare do |request|
        return nil unless request.path.start_with?("/proxy")

        return url
      end
    end
    app = build_returning(upstream.url("/r"))
    expect(fetch(app, "/proxy").body).to eq("saw /r")
    expect(fetch(app, "/other").body).to eq("not proxied")
  end

  it "may use next, and may be a lambda" do
    expect(fetch(linted { next upstream.url("/n") }).body).to eq("saw /n")
    decide = ->(request) { return upstream.url(request.path) }
    expect(fetch(linted(&decide), "/l").body).to eq("saw /l")
  end

  it "keeps its own self" do
    expect(fetch(linted { instance_of_the_spec }).body).to eq("saw /self")
  end

  def instance_of_the_spec
    upstream.url("/self")
  end

  it "raises the application's own exceptions, before anything is sent" do
    app = bare { raise ArgumentError, "my own" }
    expect { fetch(app) }.to raise_error(ArgumentError, "my own")
    expect(upstream.connections).to be_empty
  end

  it "leaves a LocalJumpError of other making alone" do
    expect { fetch(bare { yielding }) }.to raise_error(LocalJumpError, /no block given/)
  end

  def yielding
    yield
  end

  it "leaves exceptions of the inner application alone" do
    app = linted { |request| upstream.url unless request.path.start_with?("/boom") }
    expect { fetch(app, "/boom") }.to raise_error(RuntimeError, "app error")
  end

  it "is not needed by a subclass that overrides destination_uri" do
    subclass.upstream(upstream.url(""))
    app = bare(base: subclass)
    expect(fetch(app, "/proxy/1").body).to eq("saw /proxy/1")
    expect(fetch(app, "/other").body).to eq("not proxied")
  end

  it "builds its Request once for each proxied request" do
    app = bare { upstream.url }
    expect(Rack::StreamingProxy::Request).to receive(:new).once.and_call_original
    expect(fetch(app).status).to eq(200)
  end

  it "lets an exception of Request.new propagate" do
    app = bare { upstream.url }
    allow(Rack::StreamingProxy::Request).to receive(:new).and_raise("kaboom")
    expect { fetch(app) }.to raise_error(RuntimeError, /kaboom/)
  end

  it "serves many threads at once" do
    echo = serving { |request| [200, {}, request.body] }
    app = linted { echo.url }
    bodies = Array.new(8) do |number|
      in_thread do
        Array.new(10) { |turn| fetch(app, "/", method: "POST", input: "#{number}/#{turn}").body }
      end
    end.map(&:value)
    expect(bodies).to eq(Array.new(8) { |number| Array.new(10) { |turn| "#{number}/#{turn}" } })
  end

  it "can be called through Rack::MockRequest" do
    response = Rack::MockRequest.new(linted { upstream.url("/m") }).get("/")
    expect(response.status).to eq(200)
    expect(response.body).to eq("saw /m")
  end

  it "can be the middleware of a Rack::Builder" do
    url = upstream.url("/b")
    app = Rack::Builder.new do
      use Rack::Lint
      use(Rack::StreamingProxy::Proxy, logger: Logger.new(nil)) { url }
      use Rack::Lint
      run InnerApp
    end
    expect(Rack::MockRequest.new(app.to_app).get("/").body).to eq("saw /b")
  end

  it "works frozen, as Rack::Builder's freeze_app leaves it, and takes up changed accessors" do
    base = Class.new(described_class) { self.logger = Logger.new(nil) }
    url = upstream.url("/f")
    app = Rack::Builder.new do
      freeze_app
      use(base) { url }
      run ->(env) { InnerApp.call(env) }
    end.to_app
    expect(app).to be_frozen
    expect(fetch(app).body).to eq("saw /f")
    base.headers = { "X-Changed" => "yes" }
    expect(fetch(app).body).to eq("saw /f")
    expect(Array.new(2) { upstream.wait_for_request["x-changed"] }).to eq([nil, "yes"])
  end

  it "adds no chunk framing of its own to the body" do
    chunked = start_upstream do |connection|
      connection.serve do
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
      end
    end
    answer = fetch(linted { chunked.url })
    expect(answer.body).to eq("abc")
    expect(answer["Transfer-Encoding"]).to be_nil
  end
end
