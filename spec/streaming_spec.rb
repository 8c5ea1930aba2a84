# frozen_string_literal: true

RSpec.describe "Streaming through a real server" do
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
    quick.get("/quick")
    expect(quick.read_response.body).to eq("quick")
  end

  it "leaves Ruby threads their time while it waits" do
    upstream = start_upstream do |connection|
      connection.read_head
      connection.wait_for_end(within: 20)
    end
    caller = in_thread { fetch(bare { upstream.url }) }
    upstream.wait_for_request
    expect(elapsed { 100_000.times { Deadline.now } }).to be < 10
    expect(caller).to be_alive
  end
end
