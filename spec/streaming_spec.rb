# frozen_string_literal: true

RSpec.describe "Streaming through a real server" do
  # An upstream that sends event n + 1 only when told that the client has seen event n.
  def lockstep_upstream(begin_with:, event:, finish: "")
    start_upstream do |connection|
      connection.read_head
      connection.write("HTTP/1.1 200 OK\r\n#{begin_with}\r\n")
      20.times do |number|
        @sent << Deadline.now
        connection.write(event.call(number))
        @acknowledged.pop
      end
      connection.write(finish)
    end
  end

  # @return [Array<Float>] for each event the seconds from the upstream's write to the client's read
  def gaps_of_events(client)
    Array.new(20) do |number|
      expect(client.read_chunk(within: 2)).to eq("event #{number};")
      gap = Deadline.now - @sent.pop
      @acknowledged << number
      gap
    end
  end

  def median(values)
    values.sort[values.size / 2]
  end

  framings = {
    "in chunks" => {
      begin_with: "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n",
      event: ->(number) { ChunkedBody.encode("event #{number};", finish: false) },
      finish: "0\r\n\r\n"
    },
    "with a length" => {
      begin_with: "Content-Type: application/octet-stream\r\nContent-Length: 170\r\n",
      event: ->(number) { "event #{number};" }
    },
    "to the end of the connection" => {
      begin_with: "Content-Type: text/plain\r\n", event: ->(number) { "event #{number};" }
    }
  }

  { "Puma" => { kind: :puma }, "Unicorn" => { kind: :unicorn },
    "Puma on a Unix socket" => { kind: :puma, unix: true } }.each do |name, how|
    context "such as #{name}" do
      framings.each do |framing, script|
        it "passes events in lockstep #{framing}, without delay", id: "ST1" do
          @sent = EventQueue.new("event of the upstream")
          @acknowledged = EventQueue.new("acknowledgement of the client")
          upstream = lockstep_upstream(**script)
          server = start_server(how[:kind], RackupText.proxy,
                                env: { "UPSTREAM" => upstream.url("") }, **how.slice(:unix))
          client = connect(server)
          client.get("/events")
          client.read_head(within: 2)
          gaps = gaps_of_events(client)
          expect(median(gaps)).to be < 0.05
          expect(gaps.max).to be < 0.2
        end
      end
    end
  end

  context "when chunks of the upstream come together" do
    it "coalesces what is there and loses nothing" do
      pieces = Array.new(5000) { |number| "<#{number}>" }
      upstream = start_upstream do |connection|
        connection.read_head
        connection.begin_chunked
        connection.write(ChunkedBody.encode(*pieces))
        connection.wait_for_end
      end
      server = start_puma(RackupText.proxy, env: { "UPSTREAM" => upstream.url("") })
      client = connect(server)
      client.get
      client.read_head
      chunks = []
      while (chunk = client.read_chunk)
        chunks << chunk
      end
      expect(chunks.join).to eq(pieces.join)
      expect(chunks.size).to be < 500
    end
  end

  it "serves other requests while streams are open" do
    upstream = start_upstream do |connection|
      if connection.read_head.target == "/stream"
        connection.begin_chunked
        connection.chunk("x")
        connection.wait_for_end(within: 30)
      else
        connection.respond(200, {}, "quick")
      end
    end
    server = start_puma(RackupText.proxy, threads: 3, env: { "UPSTREAM" => upstream.url("") })
    2.times do
      stream = connect(server)
      stream.get("/stream")
      stream.read_head
    end
    quick = connect(server)
    seconds = elapsed do
      quick.get("/quick")
      expect(quick.read_response.body).to eq("quick")
    end
    expect(seconds).to be < 0.5
  end

  it "leaves Ruby threads their time while it waits" do
    upstream = start_upstream do |connection|
      connection.read_head
      connection.wait_for_end(within: 20)
    end
    caller = in_thread { fetch(bare { upstream.url }) }
    upstream.wait_for_request
    rounds = 0
    finish = Deadline.now + 0.2
    rounds += 1 while Deadline.now < finish
    expect(rounds).to be > 10_000
    expect(caller).to be_alive
  end
end
