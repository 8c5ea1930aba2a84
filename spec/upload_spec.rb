# frozen_string_literal: true

RSpec.describe "Uploads" do
  def server_for(kind, upstream, settings = "")
    start_server(kind, RackupText.proxy(settings), env: { "UPSTREAM" => upstream.url("") })
  end

  context "on Unicorn, whose input comes as the client sends it" do
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
      expect(client.read_head.status).to eq(200)
      expect(client.read_chunk).to eq("aaa")
      client.write("b" * 27_231)
      expect(client.read_chunk).to match(/\A[ab]{3,6}\z/)
    end

    it "never end their chunks when the client leaves before the end", id: "RQ6" do
      result = EventQueue.new("end of the upload")
      upstream = start_upstream do |connection|
        connection.read_head
        result << connection.read_to_end
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
      expect(call.join(20)).not_to be_nil
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
        connection.wait_for_end
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
