# frozen_string_literal: true

require "digest"

RSpec.describe "Uploads" do
  # An upstream that reads a request piece by piece and echoes each piece at once.
  def echoing_upstream
    start_upstream do |connection|
      head = connection.read_head
      connection.begin_chunked
      left = head.content_length
      while left.positive?
        piece = connection.read_some(within: 10)
        left -= piece.bytesize
        connection.chunk(piece)
      end
      connection.end_chunked
      connection.wait_for_end(within: 10)
    end
  end

  def server_for(kind, upstream, settings = "")
    start_server(kind, RackupText.proxy(settings), env: { "UPSTREAM" => upstream.url("") })
  end

  # Sends so many megabytes from a thread and gives the digest of what went and of what came back.
  def echo(server, megabytes)
    client = connect(server)
    block = Random.bytes(1024 * 1024)
    sent = Digest::SHA256.new
    client.write("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: #{megabytes << 20}\r\n\r\n")
    writer = in_thread do
      megabytes.times { client.write(block).then { sent << block } }
    end
    [sent, echoed_digest(client), writer.join(1)]
  end

  def echoed_digest(client)
    expect(client.read_head(within: 30).status).to eq(200)
    came = Digest::SHA256.new
    while (chunk = client.read_chunk(within: 20))
      came << chunk
    end
    came
  end

  %i[puma unicorn].each do |kind|
    it "are echoed while they go, without deadlock, on #{kind}", id: "ST8" do
      sent, came, writer = echo(server_for(kind, echoing_upstream), 64)
      expect(writer).not_to be_nil
      expect(came.hexdigest).to eq(sent.hexdigest)
    end

    it "keep their bytes when sent in chunks on #{kind}" do
      upstream = serving { |request| [200, {}, Digest::SHA256.hexdigest(request.body)] }
      pieces = Array.new(50) { |number| Random.bytes(1 + (number * 997)) }
      client = connect(server_for(kind, upstream))
      client.request("POST", "/", { "Transfer-Encoding" => "chunked" })
      client.write(ChunkedBody.encode(*pieces))
      expect(client.read_response(within: 10).body).to eq(Digest::SHA256.hexdigest(pieces.join))
    end
  end

  context "on Unicorn, whose input comes as the client sends it" do
    it "stream piece by piece, with a length" do
      came = EventQueue.new("piece at the upstream")
      upstream = start_upstream do |connection|
        connection.read_head
        40.times { came << connection.read_exactly(1000) }
        connection.respond(200, {}, "all")
      end
      client = connect(server_for(:unicorn, upstream))
      client.request("POST", "/", { "Content-Length" => "40000" })
      40.times do |number|
        client.write((97 + (number % 26)).chr * 1000)
        expect(came.pop(within: 2)).to match(/\A(.)\1+\z/)
      end
      expect(client.read_response.body).to eq("all")
    end

    it "stream piece by piece in chunks" do
      came = EventQueue.new("piece at the upstream")
      upstream = start_upstream do |connection|
        connection.read_head
        loop do
          size = connection.read_until("\r\n").hex
          came << connection.read_exactly(size)
          connection.read_exactly(2)
          break if size.zero?
        end
        connection.respond(200, {}, "all")
      end
      client = connect(server_for(:unicorn, upstream))
      client.request("POST", "/", { "Transfer-Encoding" => "chunked" })
      5.times do |number|
        client.write(ChunkedBody.encode("piece #{number}", finish: false))
        expect(came.pop(within: 2)).to eq("piece #{number}")
      end
      client.write("0\r\n\r\n")
      expect(client.read_response.body).to eq("all")
    end

    it "get the response while the upload is unfinished", id: "ST8" do
      upstream = start_upstream do |connection|
        connection.read_head
        connection.begin_chunked
        3.times { connection.chunk(connection.read_exactly(20_000).slice(0, 3)) }
        connection.end_chunked
        connection.wait_for_end
      end
      client = connect(server_for(:unicorn, upstream))
      client.request("POST", "/", { "Content-Length" => "60000" })
      client.write("a" * 32_769)
      expect(client.read_head(within: 2).status).to eq(200)
      expect(client.read_chunk(within: 2)).to eq("aaa")
      client.write("b" * 27_231)
      expect(client.read_chunk(within: 2)).to match(/\A[ab]{3,6}\z/)
    end

    it "never look complete when the client leaves before the end", id: "RQ6" do
      result = EventQueue.new("end of the upload")
      upstream = start_upstream do |connection|
        connection.read_head
        result << connection.read_to_end(within: 5)
      end
      client = connect(server_for(:unicorn, upstream))
      client.request("POST", "/", { "Content-Length" => "100000" })
      client.write("a" * 50_000)
      upstream.wait_for_request
      client.close
      bytes, = result.pop
      expect(bytes.bytesize).to be <= 50_000
    end

    it "never end their chunks when the client leaves before the end", id: "RQ6" do
      result = EventQueue.new("end of the upload")
      upstream = start_upstream do |connection|
        connection.read_head
        result << connection.read_to_end(within: 5)
      end
      client = connect(server_for(:unicorn, upstream))
      client.request("POST", "/", { "Transfer-Encoding" => "chunked" })
      client.write(ChunkedBody.encode("some", finish: false))
      upstream.wait_for_request
      client.close
      expect(ChunkedBody.new(result.pop.first)).not_to be_complete
    end
  end

  context "from an input that blocks, on a server of which nothing is known" do
    # A pipe into which a thread writes a small piece every few milliseconds, without an end.
    def endless_pipe
      reader, writer = IO.pipe(binmode: true)
      [reader, writer].each { |io| closing(io) }
      in_thread do
        loop do
          writer.write("p" * 1024)
          sleep 0.002
        end
      end
      reader
    end

    inputs = {
      "a pipe" => ->(pipe) { pipe },
      "one that can only read" => lambda { |pipe|
        Class.new { define_method(:read) { |size, *| pipe.readpartial([size, 1024].min) } }.new
      }
    }

    # The status of a call that is over in time.
    def status_of_call(upstream, input)
      env = env_for("/", :method => "POST", "HTTP_TRANSFER_ENCODING" => "chunked")
            .except("CONTENT_LENGTH").merge("rack.input" => input)
      call = in_thread { bare { upstream.url }.call(env) }
      expect(call.join(2)).not_to be_nil
      call.value.last.close
      call.value.first
    end

    inputs.each do |what, input|
      it "do not hold up an answer that is there, with #{what}", id: "ST6" do
        answers = [->(connection) { connection.begin_chunked },
                   ->(connection) { connection.respond(413, {}, "no") }]
        upstream = start_upstream do |connection|
          connection.read_head
          answers.shift.call(connection)
          connection.wait_for_end(within: 10)
        end
        statuses = Array.new(2) { status_of_call(upstream, input.call(endless_pipe)) }
        expect(statuses).to eq([200, 413])
      end
    end
  end

  describe "that the upstream answers early" do
    # The client writes as long as it can, and reads what is answered.
    def early_answer(server, megabytes)
      client = connect(server)
      client.request("POST", "/", { "Content-Length" => (megabytes << 20).to_s })
      in_thread { megabytes.times { client.write("u" * (1 << 20)) } }
      client.read_response(within: 10)
    end

    %i[puma unicorn].each do |kind|
      it "let the client on #{kind} see the 413", id: "ST6" do
        upstream = start_upstream do |connection|
          connection.read_head
          connection.read_exactly(100_000)
          connection.respond(413, { "Connection" => "close" }, "too large")
          connection.wait_for_end
        end
        response = early_answer(server_for(kind, upstream), 15)
        expect([response.status, response.body]).to eq([413, "too large"])
      end
    end

    it "stop, and their connection is not used again", id: "ST6" do
      upstream = start_upstream do |connection|
        connection.read_head
        connection.respond(413, {}, "no")
        connection.wait_for_end(within: 5)
      end
      app = linted { upstream.url }
      2.times do
        expect(fetch(app, "/", method: "POST", input: "x" * 20_000_000).status).to eq(413)
      end
      expect(upstream.connections.size).to eq(2)
      received = upstream.connections.map(&:received)
      expect(received.max).to be < 20_000_000
    end

    it "with a reset right behind the answer are still answered", id: "ST6" do
      upstream = start_upstream do |connection|
        connection.read_head
        connection.respond(413, { "Connection" => "close" }, "no")
      end
      statuses = Array.new(5) do
        fetch(linted { upstream.url }, "/", method: "POST", input: "x" * 5_000_000).status
      end
      expect(statuses).to all(eq(413).or(eq(502)))
      expect(statuses).to include(413)
    end
  end
end
