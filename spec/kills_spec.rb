# frozen_string_literal: true

# What clients see when a process is killed while it waits at its end: one whose response is being
# written, one that waits for a head, and one with a tunnel.
RSpec.describe "The end by force of a process that waits for its clients" do
  include ServerCalls
  include Tunnels

  cluster = { workers: 1, more: "prune_bundler false" }

  # Makes the process end, and awaits that it waits.
  def tell(signal)
    @server.signal(signal)
    @server.output.wait_for(/is to end/, within: 30)
  end

  # As an upgrade without a stop of Unicorn does it: a new master serves, and the old one ends.
  def replace
    @server.signal("USR2")
    @server.output.wait_for(/worker=0 ready.*worker=0 ready/m, within: 30)
    tell("QUIT")
  end

  # By server, by signals: options, what makes it end, and what then ends it.
  {
    puma: {
      "TERM and KILL" => [{}, -> { tell("TERM") }, -> { @server.signal("KILL") }],
      "TERM and TERM" => [{}, -> { tell("TERM") }, -> { @server.signal("TERM") }],
      "INT and INT" => [{}, -> { tell("INT") }, -> { @server.signal("INT") }],
      "in a cluster, TERM and a worker's KILL" =>
        [cluster, -> { tell("TERM") }, -> { @server.signal("KILL", @pid) }],
      "in a cluster, TERM and the master's KILL" =>
        [cluster, -> { tell("TERM") }, -> { @server.signal("KILL") }]
    },
    unicorn: {
      "QUIT and a worker's KILL" => [{}, -> { tell("QUIT") }, -> { @server.signal("KILL", @pid) }],
      "QUIT and a worker's TERM" => [{}, -> { tell("QUIT") }, -> { @server.signal("TERM", @pid) }],
      "USR2, QUIT and a worker's KILL" =>
        [{ fixed: true }, -> { replace }, -> { @server.signal("KILL", @pid) }]
    }
  }.each do |kind, ways|
    ways.each do |name, (options, ending, killing)|
      it "is seen by all of them, and leaves no process: #{kind}, #{name}", time_limit: 90 do
        @server = start_server(kind, RackupText.proxy_to_ports(
                                       "delivery: :early, drain_timeout: 300, timeout: 300"
                                     ), **options)
        clients = open_all
        @pid = @server.serving_pid
        processes = [@server.pid, *@server.family]
        instance_exec(&ending)
        instance_exec(&killing)
        # At a TERM Unicorn's workers run no Ruby any more, either.
        answered = kind == :puma && !name.end_with?("KILL")
        expect_cut(*clients, waiting_gets: answered ? 503 : nil)
        expect(Deadline.new(20).poll { processes.none? { |pid| ProcessFacts.alive?(pid) } })
          .to be(true)
      end
    end
  end

  # @return [Array<RawClient>] whose responses have begun, not begun, and of a tunnel
  def open_all
    stream = begun
    silent = start_upstream { |connection| connection.read_head && connection.wait_for_end }
    waiting = ask(silent)
    silent.wait_for_request
    client = tunnel(echoing)
    client.write("x")
    expect(client.read_exactly(1)).to eq("x")
    [stream, waiting, client]
  end

  # @return [RawClient]
  def begun
    upstream = start_upstream do |connection|
      connection.read_head
      connection.begin_chunked
      connection.chunk("first")
      connection.wait_for_end(within: 60)
    end
    ask(upstream).tap do |client|
      client.read_head
      expect(client.read_chunk).to eq("first")
    end
  end

  # @param waiting_gets [Integer, nil] a status; nil where the process could not answer any more
  def expect_cut(stream, waiting, tunnel, waiting_gets:)
    expect(outcome(stream, begun: "first")).to have_attributes(body: "first", whole: false)
    expect(outcome(waiting).status).to eq(waiting_gets)
    expect(tunnel.wait_for_end).not_to be_nil
  end
end
