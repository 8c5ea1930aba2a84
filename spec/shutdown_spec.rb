# frozen_string_literal: true

# What becomes of the responses that the engine writes to clients' sockets when their process ends:
# no server waits for these. Shown on Puma; what the signals of each server do is in spec/servers.
RSpec.describe "The end of a process whose engine writes to clients" do
  include ServerCalls

  of_nine = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"

  def start(settings = "", above: "", delivery: :hijack, **options)
    settings = ["delivery: #{delivery.inspect}", settings].reject(&:empty?).join(", ")
    @server = start_puma(RackupText.proxy_to_ports(settings, above:), **options)
  end

  # @param head [Symbol] how the upstream frames
  # @return [RawClient] of a stream that has begun with "first"
  define_method(:stream) do |head: :chunks, version: "1.1"|
    @rest ||= EventQueue.new("rest")
    upstream = start_upstream do |connection|
      connection.read_head
      head == :length ? connection.write(of_nine) : connection.begin_chunked
      send_piece(connection, head, "first")
      send_piece(connection, head, @rest.pop(within: 40))
      connection.end_chunked unless head == :length
      connection.wait_for_end
    end
    ask(upstream, version:).tap { |client| expect_first(client) }
  end

  def send_piece(connection, head, text)
    head == :length ? connection.write(text) : connection.chunk(text)
  end

  def answer_late(connection, release)
    connection.read_head
    release.pop(within: 40)
    connection.begin_chunked
    connection.chunk("first")
    release.pop(within: 40)
    connection.chunk("last")
    connection.end_chunked
  end

  def expect_first(client)
    head = client.read_head(within: 10)
    expect(head["connection"]).to eq("close")
    expect(head.chunked? ? client.read_chunk : client.read_exactly(5)).to eq("first")
  end

  def expect_cut(client, ending)
    expect(outcome(client, begun: "first"))
      .to have_attributes(body: "first", whole: false, ending:)
  end

  def expect_end(ended:, cut:, within: 15)
    expect(@server.wait(within:)).not_to be_nil
    @server.output.ended?(within: 5)
    expect(@server.output.to_s)
      .to include("responses #{ended} have ended by themselves, #{cut} were cut")
  end

  it "waits for a response, which comes whole" do
    start
    client = stream
    @server.signal("TERM")
    @server.output.wait_for(/to end; .* written: 1, for at most 25 s \(drain_timeout\)/)
    @rest << "last"
    expect(outcome(client, begun: "first")).to have_attributes(body: "firstlast", whole: true)
    expect_end(ended: 1, cut: 0)
    expect(@server.output.to_s).to match(/Finishing proxy request .* 9 bytes/)
  end

  [%i[chunks 1.1 fin], %i[length 1.1 fin], %i[chunks 1.0 reset]].each do |head, version, ending|
    it "cuts a response after drain_timeout, to be seen: #{head}, HTTP/#{version}" do
      start("drain_timeout: 0.5")
      client = stream(head:, version: version.to_s)
      @server.signal("TERM")
      expect_cut(client, ending)
      expect_end(ended: 0, cut: 1)
      expect(@server.output.to_s)
        .to match(/INFO .*Failed .*status 200, 5 bytes.*the process ended .*0.5 s .*drain_timeout/)
    end

    it "is killed, which is to be seen: #{head}, HTTP/#{version}" do
      start
      client = stream(head:, version: version.to_s)
      @server.signal("KILL")
      expect_cut(client, ending)
    end
  end

  it "is killed while it waits, which is to be seen" do
    start
    client = stream
    @server.signal("TERM")
    @server.output.wait_for(/is to end/)
    @server.signal("KILL")
    expect_cut(client, :fin)
  end

  it "cuts at once with drain_timeout: 0" do
    start("drain_timeout: 0")
    client = stream
    @server.signal("TERM")
    expect_cut(client, :fin)
    expect_end(ended: 0, cut: 1)
  end

  it "counts those whose head had not come by what becomes of them" do
    start("drain_timeout: 300", delivery: :early)
    whole, cut, silent = Array.new(3) do
      release = EventQueue.new("release")
      upstream = start_upstream { |connection| answer_late(connection, release) }
      client = ask(upstream)
      upstream.wait_for_request
      [client, release]
    end
    @server.signal("TERM")
    @server.output.wait_for(/is to end; .* written: 3, /)
    whole.last << true << true
    cut.last << true
    expect_first(cut.first)
    expect(outcome(whole.first)).to have_attributes(body: "firstlast", whole: true)
    @server.signal("INT")
    expect_cut(cut.first, :fin)
    expect(silent.first.read_head.status).to eq(503)
    expect_end(ended: 1, cut: 2)
  end

  # Ctrl-C, and Ctrl-C again. Puma's own handler does nothing any more by then.
  [%w[INT INT], %w[TERM INT], %w[TERM TERM]].each do |first, second|
    it "waits no longer when it is told so: #{first}, #{second}" do
      start("drain_timeout: 300")
      client = stream
      @server.signal(first)
      @server.output.wait_for(/is to end/)
      @server.signal(second)
      expect_cut(client, :fin)
      expect_end(ended: 0, cut: 1)
    end
  end

  describe "in a cluster of Puma" do
    def start_cluster(settings = "", more: "")
      start(settings, workers: 2, more: "prune_bundler false\n#{more}")
    end

    it "waits in its worker, whatever TERM says to that again" do
      start_cluster
      client = stream
      @server.signal("TERM")
      @server.output.wait_for(/is to end/)
      @server.signal("TERM", @server.serving_pid)
      @rest << "last"
      expect(outcome(client, begun: "first")).to have_attributes(body: "firstlast", whole: true)
      expect_end(ended: 1, cut: 0)
    end

    it "is waited for by a phased restart, while others serve" do
      start_cluster(more: "preload_app! false") # with which Puma 7 and later have none
      client = stream
      restarted = @server.restart_since_now
      @server.signal("USR1")
      @server.output.wait_for(/is to end/, within: 30)
      expect(@server.stats[:started]).to be >= 0
      @rest << "last"
      expect(outcome(client, begun: "first")).to have_attributes(body: "firstlast", whole: true)
      expect(Deadline.new(30).poll(every: 0.1, &restarted)).to be(true)
    end

    it "is cut with worker_shutdown_timeout, which is to be seen" do
      start_cluster(more: "worker_shutdown_timeout 1")
      client = stream(version: "1.0")
      @server.signal("TERM")
      expect_cut(client, :reset)
      expect(@server.wait(within: 15)).not_to be_nil
    end

    it "waits no longer at a second INT to all of its group" do
      start_cluster("drain_timeout: 300", more: "worker_shutdown_timeout 300")
      client = stream
      @server.signal("INT", -@server.pid)
      @server.output.wait_for(/is to end/)
      @server.signal("INT", -@server.pid)
      expect_cut(client, :fin)
      expect_end(ended: 0, cut: 1)
    end
  end
end
