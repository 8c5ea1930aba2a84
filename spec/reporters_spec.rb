# frozen_string_literal: true

# The threads that hear how responses have ended which the engine writes.
RSpec.describe "Rack::StreamingProxy::Reporters" do
  # A process with a proxy, which gives the responses of its paths to hijacked sockets.
  prelude = <<~'RUBY'
    require "rack/mock"
    require "socket"
    $stdout.sync = true
    CLIENTS = []

    def app(**settings)
      Rack::StreamingProxy::Proxy.new(proc {}, delivery: :hijack, logger: Logger.new(nil),
                                               **settings) do |request|
        ENV.fetch("UPSTREAM") + request.fullpath
      end
    end

    def deliver(app, path = "/")
      client, server = UNIXSocket.pair
      env = Rack::MockRequest.env_for(path, "rack.hijack?" => true)
      app.call(env)[1].fetch("rack.hijack").call(server)
      CLIENTS << client
      client.read
    end

    def reporters = Thread.list.map(&:name).count("rsp-report")
  RUBY

  define_method(:run) do |text, upstream = serving { [200, {}, "text"] }|
    RubyScript.run(prelude + text, env: { "UPSTREAM" => upstream.url("") })
  end

  it "are none before a response is so delivered, and two however many are" do
    result = run(<<~RUBY)
      one = app
      one.call(Rack::MockRequest.env_for("/")).last.each {}
      p reporters
      10.times { deliver(one) }
      p reporters
    RUBY
    expect([result.output, result.status&.success?]).to eq(["0\n2\n", true])
  end

  it "are started anew in a forked child" do
    result = run(<<~RUBY)
      told = Thread::Queue.new
      one = app(on_complete: ->(response) { told << response.status })
      deliver(one)
      p told.pop
      pid = fork do
        p reporters
        deliver(one)
        p [told.pop, reporters]
      end
      Process.wait(pid)
      deliver(one)
      p [told.pop, reporters]
    RUBY
    expect(result.output.lines(chomp: true)).to eq(["200", "0", "[200, 2]", "[200, 2]"])
  end

  it "go on when a callable raises, which is told, or ends its thread" do
    result = run(<<~RUBY)
      told = Thread::Queue.new
      logger = Logger.new($stdout)
      raising = app(logger:, on_complete: ->(_) { told << true; raise "callable's" })
      3.times { deliver(raising).then { told.pop } }
      ending = app(on_complete: ->(_) { told << true; Thread.exit })
      3.times { deliver(ending).then { told.pop } }
      deliver(app(on_complete: ->(response) { told << response.status }))
      p told.pop
    RUBY
    expect(result.output).to match(/WARN.*on_complete failed: RuntimeError: callable's/)
    expect(result.output.lines.last).to eq("200\n")
  end

  it "have one left for the others when a callable blocks" do
    result = run(<<~RUBY)
      told = Thread::Queue.new
      blocked = Thread::Queue.new
      deliver(app(on_complete: ->(_) { told << :blocking; blocked.pop }))
      p told.pop
      3.times { deliver(app(on_complete: ->(response) { told << response.status })) }
      p Array.new(3) { told.pop }
      blocked << true
    RUBY
    expect(result.output).to eq(":blocking\n[200, 200, 200]\n")
  end

  it "lose nothing when the system has no thread left for another" do
    result = run(<<~RUBY)
      told = Thread::Queue.new
      blocked = Thread::Queue.new
      one = app(on_complete: ->(response) { told << response.status })
      deliver(one)
      p told.pop
      thread = Thread.method(:new)
      Thread.define_singleton_method(:new) { |*| raise ThreadError, "no thread" }
      2.times { deliver(app(on_complete: ->(_) { told << :blocking; blocked.pop })) }
      p told.pop, told.pop
      2.times { blocked << true }
      Thread.define_singleton_method(:new) { |*arguments, &block| thread.call(*arguments, &block) }
      2.times { deliver(app(on_complete: ->(_) { told << :blocking; blocked.pop })) }
      p told.pop, told.pop
      deliver(one)
      p told.pop
    RUBY
    expect(result.output.lines(chomp: true).grep(/^\d+$|blocking/))
      .to eq(["200"] + ([":blocking"] * 4) + ["200"])
  end

  it "leave nothing behind of what could not be begun" do
    result = run(<<~RUBY)
      one = app
      deliver(one)
      Rack::StreamingProxy::Session.define_method(:deliver) { |*| raise "native" }
      begin
        deliver(one)
      rescue RuntimeError => e
        p e.message
      end
      deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + 10
      left = -> { [Rack::StreamingProxy::Reporters.open.size, Rack::StreamingProxy.stats[:exchanges]] }
      sleep 0.01 until left.call == [0, 0] || Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline
      p left.call
    RUBY
    expect(result.output).to eq("\"native\"\n[0, 0]\n")
  end

  it "tell of what is new, and of its end, although the executor raises before it yields" do
    result = run(<<~RUBY)
      told = Thread::Queue.new
      def (executor = Object.new).wrap
        raise NotImplementedError, "the executor's"
      end
      Rack::StreamingProxy::Reporters.executor = executor
      early = app(delivery: :early, on_complete: ->(response) { told << response.status })
      client, server = UNIXSocket.pair
      hijack = { "rack.hijack?" => true, "rack.hijack" => -> { server } }
      early.call(Rack::MockRequest.env_for("/", hijack))
      p client.wait_readable(10) && client.read.lines.last
      p told.pop
    RUBY
    expect(result.output).to match(/the executor failed: NotImplementedError: the executor's/)
    expect(result.output.lines(chomp: true).grep_v(/executor/)).to eq(['"text"', "200"])
  end

  it "tell of a subscriber that raises" do
    result = run(<<~RUBY)
      def (broken = Logger.new(nil)).info(*)
        raise "the logger's" if Thread.current.name == "rsp-report"
      end
      told = Thread::Queue.new
      deliver(app(logger: broken))
      deliver(app(on_complete: ->(response) { told << response.status }))
      p told.pop
    RUBY
    expect(result.output).to match(/the logger failed: RuntimeError: the logger's/)
    expect(result.output.lines.last).to eq("200\n")
  end
end
