# frozen_string_literal: true

# What responses cost that the engine writes, and what there may be of them. bench/slow_streams has
# the same with 2,000.
RSpec.describe "Responses that the engine writes" do
  include ServerCounts

  # Sends one chunk, and the rest when it is told to.
  def waiting_upstream(release = EventQueue.new("release"))
    start_upstream do |connection|
      connection.read_head
      connection.begin_chunked
      connection.chunk("first")
      release.pop(within: 60)
      connection.chunk("last")
      connection.end_chunked
    end
  end

  # Sends nothing before it is told to, and then one chunk.
  def answering_upstream(answer)
    start_upstream do |connection|
      connection.read_head
      answer.pop(within: 60)
      connection.begin_chunked
      connection.chunk("first")
      connection.wait_for_end(within: 60)
    end
  end

  # Sends one chunk, and no other.
  def silent_upstream
    start_upstream do |connection|
      connection.read_head
      connection.begin_chunked
      connection.chunk("first")
      connection.wait_for_end(within: 60)
    end
  end

  # Sends without end.
  def flooding_upstream
    start_upstream do |connection|
      connection.read_head
      connection.begin_chunked
      loop { connection.chunk("x" * 65_536) }
    end
  end

  def start_proxy(upstream, settings = "", **options)
    settings = "delivery: :hijack, #{settings}" unless settings.include?("delivery")
    settings = "max_connections: 1000, #{settings.chomp(", ")}"
    start_server(:puma, RackupText.proxy(settings), env: { "UPSTREAM" => upstream.url("") },
                                                    **options)
  end

  # @return [RawClient] which has its first chunk
  def stream(server)
    connect(server).tap do |client|
      client.get
      client.read_head
      client.read_chunk
    end
  end

  # The value when it has been the same for half a second.
  def settled_value
    value = same_since = nil
    Deadline.new(Deadline::SECONDS).poll(every: 0.05) do
      latest = yield
      same_since = Deadline.now if latest != value
      value = latest
      Deadline.now - same_since > 0.5
    end
    value
  end

  describe "200 of them on two threads" do
    it "hold no thread, go on, and cost at most 64 KiB each" do
      release = EventQueue.new("release")
      server = start_proxy(waiting_upstream(release), threads: 2)
      Array.new(100) { stream(server) }.each(&:close)
      settle(server)
      # Those that more than two ends at once have needed end by themselves.
      soon { ProcessFacts.thread_names(server.serving_pid).count("rsp-report") == 2 }
      threads = server.threads
      rss = server.rss
      streams = Array.new(200) { stream(server) }
      expect(server.stats).to include(streams: 200, exchanges: 200)
      expect(server.threads).to be <= threads
      expect((server.rss - rss) / 200).to be <= 64
      300.times { release << true }
      expect(streams.map { |client| [client.read_chunk, client.read_chunk] })
        .to all(eq(["last", nil]))
    end

    it "cost at most 64 KiB each whose clients read nothing of what comes without end" do
      server = start_proxy(flooding_upstream, threads: 2)
      flood = ->(count) { Array.new(count) { connect(server).tap(&:get) }.each(&:read_head) }
      flood.call(50).each(&:close)
      settle(server)
      before = server.rss
      flood.call(200)
      settled_value { server.stats[:bytes_down] }
      expect((server.rss - before) / 200).to be <= 64
    end
  end

  # The client's socket, and the upstream's.
  it "hold two descriptors each, though their clients were watched until their heads were here" do
    upstream = answering_upstream(answer = EventQueue.new("sign to answer"))
    server = start_proxy(upstream, "delivery: :early")
    streams = lambda do |count|
      clients = Array.new(count) { connect(server).tap(&:get) }
      count.times { upstream.wait_for_request }
      count.times { answer << true }
      clients.each { |client| client.read_head && client.read_chunk }
    end
    streams.call(1).each(&:close)
    settle(server)
    before = settled_value { server.fds }
    streams.call(20)
    expect(settled_value { server.fds } - before).to be_within(5).of(40)
  end

  describe "whose one side leaves" do
    # Sends one chunk, and leaves when it is told how.
    def leaving_upstream(leave)
      start_upstream do |connection|
        connection.read_head
        connection.begin_chunked
        connection.chunk("first")
        connection.public_send(leave.pop(within: 60))
      end
    end

    # Seconds until nothing is left of a response that the block ends; the least of some tries, for
    # a busy machine may take longer for anything.
    def seconds_to_free(server)
      Array.new(3) do
        client = stream(server)
        settled_value { server.stats[:bytes_down] }
        began = Deadline.now
        yield client
        settle(server)
        Deadline.now - began
      end.min
    end

    [true, false].product(%i[close reset]).each do |flood, how|
      sends = flood ? "more than its client reads" : "nothing more"

      it "are let go of within a second: the client's #{how}, while the upstream sends #{sends}" do
        server = start_proxy(flood ? flooding_upstream : silent_upstream)
        expect(seconds_to_free(server) { |client| client.public_send(how) }).to be < 1
        expect(server.stats).to include(started: 3, abandoned: 3, finished: 0, errors: {})
      end
    end

    %i[close reset].each do |how|
      it "are let go of within a second: the upstream's #{how}" do
        leave = EventQueue.new("leave")
        server = start_proxy(leaving_upstream(leave))
        expect(seconds_to_free(server) { leave << how }).to be < 1
        expect(server.stats).to include(started: 3, abandoned: 0, finished: 0,
                                        errors: { "Rack::StreamingProxy::BodyError": 3 })
      end
    end

    it "are let go of within a second that are whole, and told of, though their client stays" do
      release = EventQueue.new("release")
      server = start_proxy(waiting_upstream(release))
      seconds = seconds_to_free(server) do |client|
        release << true
        [client.read_chunk, client.read_chunk]
      end
      expect(seconds).to be < 1
      server.output.wait_for(/(?:Finishing.*?){3}/m)
      milliseconds = server.output.to_s.scan(/Finishing.* (\d+) ms/).flatten.map(&:to_i)
      expect(milliseconds.min).to be < 1900
    end
  end

  describe "whose client does not read" do
    it "gives back the upstream's connection at its end, and is written to its end" do
      sent = EventQueue.new("end of the upstream's body")
      upstream = start_upstream do |connection|
        connection.read_head
        connection.begin_chunked
        800.times { connection.chunk("x" * 65_536) }
        sent << true
      end
      server = start_proxy(upstream)
      client = connect(server)
      client.get
      client.read_head
      settled_value { server.stats[:bytes_down] }
      expect(sent).to be_empty
      body = 0
      while (chunk = begin
        client.read_chunk
      rescue RawSocket::Ended
        nil
      end)
        body += chunk.bytesize
      end
      expect(body).to eq(800 * 65_536)
      settle(server)
    end
  end

  describe "with max_streams" do
    it "are answered 503 with Retry-After once there are so many, the upstream unasked" do
      release = EventQueue.new("release")
      upstream = waiting_upstream(release)
      server = start_proxy(upstream, "max_streams: 2")
      Array.new(2) { stream(server) }
      refused = Array.new(2) do
        connect(server).tap(&:get).read_response
      end
      expect(refused.map { |one| [one.status, one.head["Retry-After"]] }).to all(eq([503, "1"]))
      expect(upstream.requests.size).to eq(2)
      expect(server.output.to_s).to include("2 responses are delivered (max_streams)")
      2.times { release << true }
      soon { server.stats[:streams] < 2 }
      expect(stream(server).head.status).to eq(200)
    end

    it "are refused under :auto when the response is to be handed over, and not before" do
      upstream = start_upstream do |connection|
        if connection.read_head.target == "/small"
          connection.respond(200, { "Connection" => "close" }, "small")
        else
          connection.begin_chunked
          connection.chunk("first")
          connection.wait_for_end(within: 60)
        end
      end
      server = start_proxy(upstream, "delivery: :auto, max_streams: 1")
      stream(server)
      status = lambda do |path|
        connect(server).tap { |client| client.get(path) }.read_response.status
      end
      expect(status.call("/large")).to eq(503)
      # Who looks between head and end finds no whole response.
      soon { status.call("/small") == 200 }
    end
  end

  it "are answered 503 while no file descriptor is left, and served when some are" do
    server = start_proxy(silent_upstream, descriptors: 60)
    streams = Array.new(5) { stream(server) }
    # Those that ask for nothing yet take what is left.
    clients = Array.new(60) { connect(server) }
    server.output.wait_for(/Too many open files/)
    refused = clients.first.tap(&:get)
    expect(refused.read_head.status).to eq(503)
    expect(refused.head["Retry-After"]).to eq("1")
    expect(server.output.to_s).to match(/all file descriptors of this process.*RLIMIT_NOFILE/)
    (streams + clients).each(&:close)
    settle(server)
    expect(stream(server).head.status).to eq(200)
    stats = server.stats
    ended = stats.values_at(:exchanges, :finished, :abandoned).sum + stats[:errors].values.sum
    expect(ended).to eq(stats[:started])
  end

  describe "in events" do
    # A subscriber that prints what the event tells.
    told = <<~RUBY
      require "active_support"
      require "active_support/notifications"
      ActiveSupport::Notifications.subscribe("request.streaming_proxy") do |*, payload|
        puts "told " + payload.values_at(:status, :delivery, :complete, :aborted_by).inspect
      end
    RUBY

    define_method(:start_told) do |upstream|
      start_server(:puma, RackupText.proxy("delivery: :hijack", above: told),
                   env: { "UPSTREAM" => upstream.url("") })
    end

    it "are told of at their real end, with who has ended them" do
      release = EventQueue.new("release")
      server = start_told(waiting_upstream(release))
      client = stream(server)
      expect(server.output.to_s).not_to include("told")
      release << true
      expect([client.read_chunk, client.read_chunk]).to eq(["last", nil])
      server.output.wait_for(/told \[200, :hijack, true, nil\]/)
      stream(server).close
      server.output.wait_for(/told \[200, :hijack, false, :client\]/)
      release << true
    end

    it "say that the upstream has cut one short" do
      upstream = start_upstream do |connection|
        connection.read_head
        connection.begin_chunked
        connection.chunk("first")
      end
      server = start_told(upstream)
      stream(server)
      server.output.wait_for(/told \[200, :hijack, false, :upstream\]/)
      expect(server.stats[:errors]).to eq("Rack::StreamingProxy::BodyError": 1)
    end
  end
end
