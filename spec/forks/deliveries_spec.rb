# frozen_string_literal: true

# Responses that the engine writes to clients, in a process that forks or ends.
RSpec.describe "A process whose engine writes to clients" do
  include_context "with a forking script"

  handing = <<~'RUBY'
    # Hands a client's socket over, as a server would, and returns the client's end.
    def stream(path, app = nil, **settings)
      app ||= proxy(delivery: :hijack, **settings)
      ours, theirs = UNIXSocket.pair
      yield ours if block_given?
      env = Rack::MockRequest.env_for(path, "rack.hijack?" => true)
      app.call(env)[1].fetch("rack.hijack").call(ours)
      theirs
    end
    # A child goes on, with what it has of the clients, once this process waits at its end, when it
    # cuts what has no time left. The child would wait for ever for one that ends without.
    def in_child_at_exit
      cut = stream("/hang", drain_timeout: 0)
      cut.readpartial(100) # once the engine has it
      fork do
        cut.read
        yield
        exit!
      end
    end
  RUBY

  # Clients of TCP: only their connections can be reset.
  let(:shared_socket) { <<~'RUBY' }
    def over_tcp(more = {})
      listener = TCPServer.new("127.0.0.1", 0)
      client = TCPSocket.new("127.0.0.1", listener.addr[1])
      ours = listener.accept
      [client, { "rack.hijack?" => true, "rack.hijack" => -> { ours }, **more }]
    end

    # Has the block answer in place of the upstream.
    def fetch(path, hijack)
      url = ENV.fetch("UPSTREAM") + path
      env = Rack::MockRequest.env_for("/", hijack)
      Rack::StreamingProxy::Fetch.new(url, env, logger: Logger.new(nil)) do |callbacks|
        callbacks.on_response { |_, out| yield out }
      end.call
    end

    # Runs the block while a child has all that this process has, but for the client's end.
    def while_child_has_it(client)
      told, tell = IO.pipe
      child = fork do
        [client, tell].each(&:close)
        told.read
        exit!(true)
      end
      yield
      tell.close
      p wait_for(child)
    end

    def seen(client)
      seen = Thread.new do
        yield
      rescue SystemCallError => e
        e.class
      end
      p seen.join(5)&.value
    end
  RUBY

  define_method(:process) { |text, **more| script(handing + text, **more) }

  # More than a client's socket takes, less than waits for it besides.
  let!(:bulk) { "x" * 300_000 }

  ["exit 3", "raise 'a failure'", "abort", "Thread.new { exit }.join", ""].each do |way|
    it "waits for them at its end: #{way.inspect}" do
      result = process(<<~RUBY)
        client = stream("/stream")
        client.readpartial(100)
        in_child_at_exit { get("/go/parent") && p(client.read) }
        #{way}
      RUBY
      expect(result.output).to include(%("1\\r\\nb\\r\\n0\\r\\n\\r\\n"\n))
    end
  end

  it "gives each of them its own time" do
    result = process(<<~RUBY)
      cut, whole = stream("/hang", drain_timeout: 0), stream("/stream")
      in_child_at_exit do
        p cut.read
        get("/go/parent")
        p whole.read
      end
    RUBY
    expect(result.output).to eq(<<~'TEXT')
      "1\r\na\r\n"
      "1\r\na\r\n1\r\nb\r\n0\r\n\r\n"
    TEXT
  end

  it "ends although those who are told of their ends do not come back" do
    result = process(<<~RUBY)
      3.times { p stream("/whole", on_complete: ->(_) { sleep }).read }
      stream("/hang", drain_timeout: 0.1)
    RUBY
    expect(result.output).to eq(%("whole"\n) * 3)
    expect(result.status).to be_success
  end

  it "ends although its logger does not come back, or raises" do
    result = process(<<~RUBY)
      class Stuck < Logger
        def info(message)
          sleep if message.include?("is to end")
          raise "a failure" if message.include?("process ends")
        end
      end
      stream("/hang", logger: Stuck.new(nil), drain_timeout: 0.1)
    RUBY
    expect(result.status).to be_success
    expect(result.output).to include("the logger failed: RuntimeError: a failure")
  end

  it "is not waited for by a child, which leaves them alone and waits for its own", id: "CN9" do
    result = process(<<~RUBY)
      client = stream("/stream")
      client.readpartial(100)
      2.times { p wait_for(fork { GC.start }) }
      wait_for(fork do
        own = stream("/stream/child")
        in_child_at_exit { get("/go/child") && print("child: ", own.read.inspect, "\n") }
      end)
      get("/go/parent")
      p client.read
    RUBY
    expect(result.output).to eq(<<~'TEXT')
      true
      true
      child: "1\r\na\r\n1\r\nb\r\n0\r\n\r\n"
      "1\r\nb\r\n0\r\n\r\n"
    TEXT
  end

  # By its chunks, or, of what the connection's end would make look whole, by a reset.
  { "HTTP/1.1" => '"1\r\na\r\n"', "HTTP/1.0" => "Errno::ECONNRESET" }.each do |version, seen|
    it "shows a client of #{version} that its response is cut though a child has its socket, too" do
      result = process(shared_socket + <<~RUBY)
        client, hijack = over_tcp("SERVER_PROTOCOL" => "#{version}")
        proxy(delivery: :early).call(Rack::MockRequest.env_for("/late", hijack))
        while_child_has_it(client) do
          get("/go/parent")
          seen(client) { client.read[/1\\r\\na.*/m] }
        end
      RUBY
      expect(result.output).to eq("#{seen}\ntrue\n")
    end
  end

  # By what ends it.
  {
    "its upstream" => ["", 'client.write("x")'],
    "tunnel_timeout" => ["tunnel_timeout: 1", ""],
    "the end of the process" => ["", "Rack::StreamingProxy.shutdown"]
  }.each do |ending, (settings, code)|
    it "shows a client that #{ending} cuts its tunnel though a child has its socket, too" do
      result = process(shared_socket + <<~RUBY)
        client, hijack = over_tcp("HTTP_CONNECTION" => "Upgrade", "HTTP_UPGRADE" => "websocket")
        proxy(#{settings}).call(Rack::MockRequest.env_for("/upgrade", hijack))
        while_child_has_it(client) do
          #{code}
          seen(client) { client.read }
        end
      RUBY
      expect(result.output).to eq("Errno::ECONNRESET\ntrue\n")
    end
  end

  # By what a callback does.
  {
    "closes" => ["out.close", '""'],
    "writes" => ['out.write("whole")', '"whole"'],
    "writes, and raises," => ['out.write("a") && raise', "Errno::ECONNRESET"],
    "renders too little" => ["out.render(body: StringIO.new('a').tap { |io| def io.size = 9 })",
                             "Errno::ECONNRESET"]
  }.each do |what, (code, seen)|
    it "shows a client that a callback #{what} though a child has its socket, too" do
      result = process(shared_socket + <<~RUBY)
        client, hijack = over_tcp
        fetch("/late", hijack) { |out| #{code} }
        while_child_has_it(client) do
          get("/go/parent")
          seen(client) { client.read }
        end
      RUBY
      expect(result.output).to eq("#{seen}\ntrue\n")
    end
  end

  # By the connection's end alone it would look whole.
  {
    "renders an IO" => 'fetch("/whole", hijack) { |out| out.render(body: pipe[0]) }',
    "passes on, to what is no socket," => <<~RUBY
      answer = proxy(delivery: :hijack).call(Rack::MockRequest.env_for("/hang", hijack))
      Thread.new { answer[1].fetch("rack.hijack").call(no_socket.new(ours)) }
    RUBY
  }.each do |what, code|
    it "shows a client of HTTP/1.0 that it is killed while it #{what} in a thread of Ruby's" do
      result = process(shared_socket + <<~RUBY)
        client, hijack = over_tcp("SERVER_PROTOCOL" => "HTTP/1.0")
        ours = hijack["rack.hijack"].call
        no_socket = Struct.new(:to_io) do
          def write(data) = to_io.write(data)
          def closed? = to_io.closed?
          def close = to_io.close
        end
        child = fork do
          client.close
          pipe = IO.pipe.tap { |_, writer| writer << "a" }
          #{code}
          sleep
        end
        ours.close
        nil until client.readpartial(1000).end_with?("a")
        Process.kill(:KILL, child)
        Process.wait(child)
        seen(client) { client.read }
      RUBY
      expect(result.output).to eq("Errno::ECONNRESET\n")
    end
  end

  it "cuts them, visibly, when it becomes a daemon, which does not wait for them" do
    result = process(<<~RUBY)
      client = stream("/hang")
      client.readpartial(100)
      Process.daemon(true, true)
      p client.read
      p stream("/whole").read
    RUBY
    expect(result.output).to eq(%(""\n"whole"\n))
  end

  it "is not drained as long as a client has not got all of one" do
    result = process(<<~RUBY)
      client = stream("/whole") do |ours|
        nil until ours.write_nonblock("x" * 4096, exception: false) == :wait_writable
      end
      p soon { Rack::StreamingProxy.stats[:exchanges].zero? }
      p Rack::StreamingProxy.stats[:streams], Rack::StreamingProxy.drain(within: 0.1)
      p client.read.delete("x")
      client.close
      p Rack::StreamingProxy.drain(within: 10), Rack::StreamingProxy.stats[:streams]
    RUBY
    expect(result.output).to eq(%(true\n1\nfalse\n"whole"\ntrue\n0\n))
  end

  it "can be told to end them before, and goes on" do
    result = process(<<~RUBY)
      client = stream("/hang", drain_timeout: 0.1)
      Rack::StreamingProxy.shutdown
      p client.read
      Rack::StreamingProxy.shutdown
      p stream("/whole").read
    RUBY
    expect(result.output).to eq(%("1\\r\\na\\r\\n"\n"whole"\n))
  end
end
