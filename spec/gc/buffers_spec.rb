# frozen_string_literal: true

require "objspace"

# What is held outside Ruby's heap is told to Ruby's garbage collector, which would else see only
# the few small objects of an exchange.
RSpec.describe "Buffers outside Ruby's heap" do
  def told
    Rack::StreamingProxy.stats[:buffer_bytes]
  end

  # A response that does not end, of which more has come than is queued.
  def endless
    start_upstream do |connection|
      connection.read_request
      connection.begin_chunked
      4.times { connection.chunk("x" * (1 << 20)) }
      connection.wait_for_end(within: 30)
    end
  end

  # Of the exchange that holds most.
  def largest
    exchanges = ObjectSpace.each_object(Rack::StreamingProxy::Native::Exchange)
    exchanges.map { |exchange| ObjectSpace.memsize_of(exchange) }.max
  end

  queue = 256 * 1024

  it "are told while a response is open, and no more once it is closed" do
    before = told
    body = bare { endless.url }.call(env_for).last
    expect(told - before).to be_between(queue, 2 * queue)
    expect(largest).to be >= queue
    body.close
    expect(told).to eq(before)
  end

  it "are told as no more than a short response has" do
    upstream = serving { [200, {}, "short"] }
    before = told
    body = bare { upstream.url }.call(env_for).last
    expect(told - before).to be < queue / 4
    expect(read(body)).to eq("short")
    expect(told).to eq(before)
  end

  it "are told of an upload that is kept for a retry" do
    upstream = start_upstream do |connection|
      connection.read_request
      connection.respond(200, {}, "x")
      connection.wait_for_end(within: 30)
    end
    before = told
    body = bare { upstream.url }.call(env_for("/", method: "POST", input: "u" * 60_000)).last
    expect(told - before).to be >= 60_000
    body.close
    expect(told).to eq(before)
  end

  it "are told no more after a failure, a HEAD and a body that was cut short" do
    upstream = start_upstream do |connection|
      next connection.respond(200) if connection.read_request.head.request_method == "HEAD"

      connection.begin_chunked
      connection.chunk("a")
    end
    before = told
    app = bare { |request| request.path == "/no" ? "http://127.0.0.1:1/" : upstream.url }
    fetch(app, "/no")
    fetch(app, "/", method: "HEAD")
    expect { fetch(app) }.to raise_error(Rack::StreamingProxy::BodyError)
    expect(told).to eq(before)
  end

  # Each holds 256 KiB and more, and a few hundred Ruby objects: by these alone the collector would
  # not run once while there is room for them, as in the heap of an application that has done much.
  roomy = ["INIT_SLOTS", *Array.new(3) { |pool| "#{pool}_INIT_SLOTS" }]
          .to_h { |name| ["RUBY_GC_HEAP_#{name}", "200000"] }

  it "let Ruby collect responses that nobody closes, before there are many" do
    upstream = endless
    env = { "UPSTREAM" => upstream.url, **roomy }
    result = RubyScript.run(<<~RUBY, env:, within: 50)
      require "rack/mock"
      settings = { logger: Logger.new(nil), max_connections: 1000 }
      app = Rack::StreamingProxy::Proxy.new(proc {}, **settings) do
        ENV.fetch("UPSTREAM")
      end
      most = 0
      400.times do
        app.call(Rack::MockRequest.env_for("/"))
        most = [most, Rack::StreamingProxy.stats[:exchanges]].max
      end
      resident = File.read("/proc/self/statm").split[1].to_i * 4
      puts most, resident, Rack::StreamingProxy.stats[:buffer_bytes]
      GC.start
      sleep 0.01 while Rack::StreamingProxy.stats[:exchanges] > 5
      puts Rack::StreamingProxy.stats[:buffer_bytes]
    RUBY
    most, resident, told, left = result.output.lines.map(&:to_i)
    expect(result.status).to be_success, result.output
    expect([most, told / queue]).to all(be < 250)
    expect(resident).to be < 250 * 1024
    # What the machine stack still shows to the collector stays.
    expect(left).to be < 6 * 2 * queue
  end

  it "begin at nothing in a forked child, and what it inherited is not counted there" do
    result = RubyScript.run(<<~RUBY, env: { "UPSTREAM" => endless.url })
      require "rack/mock"
      app = Rack::StreamingProxy::Proxy.new(proc {}, logger: Logger.new(nil)) do
        ENV.fetch("UPSTREAM")
      end
      body = app.call(Rack::MockRequest.env_for("/")).last
      told = -> { Rack::StreamingProxy.stats[:buffer_bytes] }
      before = told.call
      Process.wait(fork do
        p told.call
        body.close
        body = nil
        GC.start
        p told.call
      end)
      p told.call == before
    RUBY
    expect(result.output).to eq("0\n0\ntrue\n")
  end
end
