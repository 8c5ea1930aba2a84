# frozen_string_literal: true

require "timeout"

# Law 1: Ruby does the only wait, so every wait can be ended.
RSpec.describe "An interrupted wait" do
  # The state that a thread is to wait in: a proxy, the env that it is called with, and what tells
  # that the wait has begun.
  waiting_in = Struct.new(:app, :env, :ready)

  define_method(:waiting) { |*state| waiting_in.new(*state) }

  def connecting
    listener = keep(DeafListener.new)
    before = ProcessFacts.connections_to(listener.port, "SYN_SENT")
    @gone = -> { ProcessFacts.connections_to(listener.port, "SYN_SENT") <= before }
    ready = -> { ProcessFacts.connections_to(listener.port, "SYN_SENT") > before }
    waiting(bare(connect_timeout: 30) { listener.url }, env_for, ready)
  end

  def awaiting_the_head
    upstream = watched_upstream(&:read_head)
    waiting(bare { upstream.url }, env_for, -> { !upstream.requests.empty? })
  end

  def amid_the_body
    upstream = watched_upstream do |connection|
      connection.read_head
      connection.begin_chunked
      connection.chunk("x")
    end
    waiting(bare { upstream.url }, env_for, -> { @seen == "x" })
  end

  def in_the_retry_delay
    upstream = serving { [503, { "Connection" => "close" }, ""] }
    @gone = -> { upstream.connections.size <= 1 && upstream.connections.all?(&:closed?) }
    app = bare(num_retries_on_5xx: 3, retry_delay: 30) { upstream.url }
    ready = -> { upstream.connections.first&.closed? }
    waiting(app, env_for, ready)
  end

  def with_the_upload_blocked
    upstream = watched_upstream do |connection|
      connection.read_head
      @blocked.pop
    end
    env = env_for("/", method: "POST", input: "u" * 64_000_000)
    input = env["rack.input"]
    waiting(bare { upstream.url }, env, lambda {
      before = input.pos
      sleep 0.1
      before.positive? && input.pos == before
    })
  end

  # An upstream whose connection must end when the wait ends.
  def watched_upstream
    upstream = start_upstream do |connection|
      yield connection
      connection.wait_for_end(within: 20)
    end
    @gone = -> { upstream.connections.all?(&:ending) }
    upstream
  end

  # As a server does it: call, each, close.
  def serve(wait)
    _, _, body = wait.app.call(wait.env)
    body.each { |chunk| @seen = chunk }
  ensure
    body&.close
  end

  # Serves in a thread, and returns when that is in its wait.
  def serve_in_thread(wait)
    thread = in_thread { serve(wait) }
    expect(Deadline.new(10).poll { wait.ready.call && asleep?(thread) }).to be_truthy
    thread
  end

  def asleep?(thread)
    thread.status == "sleep"
  end

  def expect_the_upstream_to_be_free
    @blocked << true
    expect(Deadline.new(10).poll { @gone.call }).to be_truthy
    expect(Deadline.new(10).poll { Rack::StreamingProxy.stats[:exchanges].zero? }).to be(true)
  end

  # Not interrupted, each of these waits would go on for 20 s and more.
  at_once = 5

  before do
    @seen = nil
    @blocked = EventQueue.new
  end

  %i[connecting awaiting_the_head amid_the_body in_the_retry_delay
     with_the_upload_blocked].each do |state|
    context state.to_s.tr("_", " ").to_s do
      it "ends at once on Thread#kill, and the upstream is free" do
        thread = serve_in_thread(send(state))
        expect(thread.kill.join(at_once)).to be(thread)
        expect_the_upstream_to_be_free
      end

      it "ends at once on Thread#raise, with that exception" do
        thread = serve_in_thread(send(state))
        thread.raise(KeyError, "from outside")
        expect { thread.join(at_once) }.to raise_error(KeyError, "from outside")
        expect_the_upstream_to_be_free
      end

      it "ends when Timeout says so" do
        wait = send(state)
        seconds = elapsed do
          expect { Timeout.timeout(0.5) { serve(wait) } }.to raise_error(Timeout::Error)
        end
        expect(seconds).to be_between(0.5, 0.5 + at_once)
        expect_the_upstream_to_be_free
      end
    end
  end

  it "ends at once on close from another thread" do
    upstream = watched_upstream do |connection|
      connection.read_head
      connection.begin_chunked
      connection.chunk("x")
    end
    _, _, body = bare { upstream.url }.call(env_for)
    seen = EventQueue.new
    thread = in_thread { body.each { |chunk| seen << chunk } }
    seen.pop
    expect(Deadline.new(10).poll { asleep?(thread) }).to be(true)
    body.close
    begin
      expect(thread.join(at_once)).to be(thread)
    rescue IOError
      nil # how the reader learns of it
    end
    expect_the_upstream_to_be_free
  end

  it "is closed from another thread while bytes come, and keeps no descriptor" do
    upstream = start_upstream do |connection|
      connection.read_head
      connection.begin_chunked
      loop { connection.chunk("x" * 1000) }
    rescue SystemCallError
      nil # It was left.
    end
    app = bare { upstream.url }
    close_amid_the_body(app) # what is opened once
    before = ProcessFacts.fds(Process.pid)
    100.times { close_amid_the_body(app) }
    expect(Deadline.new(10).poll { ProcessFacts.fds(Process.pid) <= before }).to be(true)
  end

  it "is no obstacle to signals" do
    result = RubyScript.run(<<~RUBY, env: { "UPSTREAM" => awaited.url })
      require "rack/mock"
      trap("USR1") { $stdout.syswrite("handled\\n").then { exit!(7) } }
      app = Rack::StreamingProxy::Proxy.new(proc {}, logger: Logger.new(nil)) { ENV.fetch("UPSTREAM") }
      waiting = -> { Rack::StreamingProxy.stats[:connections] == 1 && Thread.main.stop? }
      Thread.new { Thread.pass until waiting.call; Process.kill("USR1", Process.pid) }
      app.call(Rack::MockRequest.env_for("/"))
    RUBY
    expect(result.output).to eq("handled\n")
    expect(result.status.exitstatus).to eq(7)
  end

  def close_amid_the_body(app)
    _, _, body = app.call(env_for)
    seen = EventQueue.new
    thread = in_thread do
      body.each { |chunk| seen << chunk }
    rescue IOError, Rack::StreamingProxy::BodyError
      nil # how the reader learns of it
    end
    5.times { seen.pop }
    body.close
    expect(thread.join(10)).to be(thread)
  end

  def awaited
    start_upstream do |connection|
      connection.read_head
      connection.wait_for_end(within: 20)
    end
  end
end
