# frozen_string_literal: true

# Every example of docs/deployment.md is a file, with which its server is run.
RSpec.describe "docs/deployment.md" do
  page = File.read(File.join(RubyProcess::ROOT, "docs/deployment.md"))
  files = page.scan(/^```\w+\n(# ([^\n]+)\n.*?)^```$/m).to_h { |text, title| [title, text] }

  def upstream
    @upstream ||= serving { |request| [200, {}, request.head.target] }
  end

  def start(kind, more, **options)
    start_server(kind, RackupText.proxy, more:, env: { "UPSTREAM" => upstream.url("") }, **options)
  end

  def get(server, path = "/a")
    client = connect(server)
    client.get(path, { "Connection" => "close" })
    client.read_response(within: 10).body
  end

  describe "the end of a process" do
    include ServerCalls

    rows = page.scan(/^\| ([A-Z]\w+)[^|]* \| ([A-Z]+(?:, [A-Z]+)*)[^|]* \| (go on|are cut)/)
    rows.each do |name, signals, what|
      server = ServerProcess.of(name.downcase.to_sym)
      signals.split(", ").each do |signal|
        it "of #{name} with #{signal}: streams #{what}", if: server.version do
          @server = start_server(name.downcase.to_sym, RackupText.proxy_to_ports)
          stream = begun_stream
          @server.signal(signal)
          what == "go on" ? expect_to_go_on(stream) : expect_to_be_cut(stream)
        end
      end
    end

    it "is said of each server that the suite runs" do
      known = Dir.children(File.join(__dir__, "support/servers"))
      expect(rows.map { |name,| "#{name.downcase}.rb" }.uniq).to match_array(known)
    end

    def begun_stream
      @rest = EventQueue.new("rest")
      upstream = start_upstream do |connection|
        connection.read_head
        connection.begin_chunked
        connection.chunk("first")
        connection.chunk(@rest.pop(within: 30))
        connection.end_chunked
      end
      ask(upstream).tap do |client|
        head = client.read_head(within: 10)
        expect(head.chunked? ? client.read_chunk : client.read_exactly(5)).to eq("first")
      end
    end

    def expect_to_go_on(stream)
      expect(@server.wait(within: 1)).to be_nil
      @rest << "last"
      expect(outcome(stream, begun: "first")).to have_attributes(body: "firstlast", whole: true)
      expect(@server.wait(within: 15)).not_to be_nil
    end

    def expect_to_be_cut(stream)
      expect(outcome(stream, begun: "first").whole).to be(false)
    end
  end

  it "has no example that is not run here" do
    expect(files.keys).to contain_exactly(
      "config/puma.rb", "config/puma.rb for fork_worker", "config/puma.rb for USR2",
      "config/unicorn.rb", "config/pitchfork.rb", "config.ru for Passenger's smart spawning",
      "metrics.ru", "nginx.conf"
    )
    expect(page.scan(/^```\w+$/).size).to eq(files.size)
  end

  it "shows threads that Puma takes for streams beyond its own" do
    text = files.fetch("config/puma.rb").sub("threads 5, 5", "threads 1, 1")
                .sub("workers 2", "workers 1")
    ends = EventQueue.new("end")
    @upstream = start_upstream do |connection|
      connection.read_head
      connection.begin_chunked
      connection.chunk("a")
      ends.pop(within: 30)
      connection.end_chunked
    end
    server = start(:puma, text, workers: 1, threads: 1)
    stream = connect(server)
    stream.get("/stream")
    stream.read_head
    expect(stream.read_chunk).to eq("a")
    inside = connect(server)
    inside.get("/__pid")
    # Another thread than the one that the stream holds.
    if ServerProcess::Puma.at_least?("8")
      expect(inside.read_response.status).to eq(200)
    else
      expect { inside.read_response(within: 1) }.to raise_error(RawSocket::Expired)
    end
    ends << true
    expect(stream.read_chunk).to be_nil
  end

  it "shows Puma's fork_worker with a hook that its versions know" do
    server = start(:puma, files.fetch("config/puma.rb for fork_worker"), workers: 2)
    server.output.wait_for(/Worker 1 .*booted/)
    expect(get(server)).to eq("/a")
    server.signal("URG")
    server.output.wait_for(/Worker 1 .*phase: 1/, within: 30)
    expect(get(server)).to eq("/a")
    expect(server.output.to_s).not_to match(/hook|deprecat|error/i)
  end

  it "shows a hook for USR2 of Puma, which waits for what the engine writes" do
    rest = EventQueue.new("rest")
    @upstream = start_upstream do |connection|
      connection.read_head
      connection.begin_chunked
      connection.chunk("a")
      connection.chunk(rest.pop(within: 30))
      connection.end_chunked
    end
    server = start_server(:puma, RackupText.proxy("delivery: :hijack"),
                          more: files.fetch("config/puma.rb for USR2"),
                          env: { "UPSTREAM" => @upstream.url("") })
    restarted = server.restart_since_now
    stream = connect(server)
    stream.get("/a")
    stream.read_head
    expect(stream.read_chunk).to eq("a")
    server.signal("USR2")
    server.output.wait_for(/is to end/)
    rest << "b"
    expect([stream.read_chunk, stream.read_chunk]).to eq(["b", nil])
    expect(Deadline.new(30).poll(every: 0.1, &restarted)).to be(true)
    expect(server.output.to_s).not_to match(/deprecat|error/i)
  end

  it "shows Unicorn's hook" do
    server = start(:unicorn, files.fetch("config/unicorn.rb"), workers: 2)
    expect(get(server)).to eq("/a")
    expect(server.output.to_s).not_to match(/error/i)
  end

  # Pitchfork is not at hand: what its configuration would call is called.
  it "shows Pitchfork's hook, which drains" do
    recorder = Class.new do
      attr_reader :hook

      def refork_after(*) = nil
      def before_fork(&block) = @hook = block
    end
    configuration = recorder.new
    configuration.instance_eval(files.fetch("config/pitchfork.rb"))
    fetch(bare { upstream.url("/a") })
    expect(Rack::StreamingProxy.stats[:connections]).to be_positive
    configuration.hook.call(:server)
    expect(Rack::StreamingProxy.stats[:connections]).to eq(0)
  end

  it "shows a config.ru for Passenger", if: ServerProcess::Passenger.version do
    text = files.fetch("config.ru for Passenger's smart spawning")
                .gsub("http://files.internal", upstream.url(""))
    text = text.sub(/^run .*/, "require #{RackupText::INNER.inspect}\nrun InnerApp")
    server = start_server(:passenger, text)
    expect(get(server, "/files/a")).to eq("/files/a")
    expect(server.output.to_s).to match(/began in \d+/)
  end

  it "shows metrics of a process" do
    result = RubyScript.run(<<~RUBY, env: { "UPSTREAM" => upstream.url("/a") })
      require "rack/builder"
      require "rack/mock"
      app = Rack::StreamingProxy::Proxy.new(proc {}, logger: Logger.new(nil)) do |request|
        request.path == "/no" ? "http://127.0.0.1:1/" : ENV.fetch("UPSTREAM")
      end
      %w[/ /no].each do |path|
        body = app.call(Rack::MockRequest.env_for(path)).last
        body.each { nil }
        body.close if body.respond_to?(:close)
      end
      sleep 0.01 until Rack::StreamingProxy.stats[:exchanges].zero?
      metrics = Rack::Builder.new_from_string(#{files.fetch("metrics.ru").inspect})
      metrics = metrics.first if metrics.is_a?(Array)
      puts metrics.call({}).last.first
    RUBY
    expect(result.output.lines(chomp: true)).to include(
      "streaming_proxy_exchanges 0", "streaming_proxy_started_total 2",
      "streaming_proxy_bytes_down_total 2",
      %(streaming_proxy_errors_total{class="Rack::StreamingProxy::ConnectError"} 1)
    )
    expect(result.output).to match(/^streaming_proxy_connections \d+$/)
  end

  context "with nginx in front" do
    it "streams live, up and down, and shows what was cut short" do
      tick = EventQueue.new("tick")
      @upstream = start_upstream do |connection|
        connection.read_head(within: 20)
        connection.begin_chunked
        3.times { |number| connection.chunk(number.to_s) && tick.pop(within: 20) }
      end
      server = start(:puma, "")
      location = files.fetch("nginx.conf").sub("http://app", "http://127.0.0.1:#{server.port}")
      front = keep(NginxProcess.new(more: location))
      client = connect(front.port)
      client.get("/front/a")
      client.read_head(within: 10)
      3.times do |number|
        expect(client.read_chunk(within: 10)).to eq(number.to_s)
        tick << true
      end
      expect { client.read_chunk }.to raise_error(RawSocket::Ended)
    end
  end

  it "counts descriptors as they are" do
    @upstream = start_upstream do |connection|
      connection.read_head
      connection.begin_chunked
      connection.chunk("a")
      connection.wait_for_end(within: 30)
    end
    server = start(:puma, "", threads: 12)
    before = kinds_of_descriptors(server)
    10.times do
      client = connect(server)
      client.get("/")
      client.read_head
      expect(client.read_chunk).to eq("a")
    end
    # Of sockets the client's, its duplicate once it has been silent, and the upstream's; an eventfd
    # for each exchange, and one of the engine's.
    wanted = { "socket" => before["socket"] + 30, "eventfd" => before["eventfd"] + 11 }
    now = nil
    Deadline.new(10).poll { (now = kinds_of_descriptors(server).slice(*wanted.keys)) == wanted }
    expect(now).to eq(wanted)
  end

  def kinds_of_descriptors(server)
    links = Dir["/proc/#{server.pid}/fd/*"].map { |path| File.readlink(path) }
    { "socket" => 0, "eventfd" => 0 }
      .merge(links.map { |link| link[/\A(?:anon_inode:\[)?(\w+)/, 1] }.tally)
  end
end
