# frozen_string_literal: true

# Trailer fields do not reach the client, for Rack has no place for them; `on_complete` can read
# them of a response that has ended whole.
RSpec.describe "Trailers and on_complete" do
  let(:completed) { EventQueue.new("completed response") }
  let(:on_complete) { ->(response) { completed << response } }

  # An upstream that answers everything with a chunked body and these trailer lines.
  def trailing(*lines, head: [])
    head = ["Transfer-Encoding: chunked", *head].map { |line| "#{line}\r\n" }.join
    serving { "HTTP/1.1 200 OK\r\n#{head}\r\n4\r\nbody\r\n0\r\n#{lines.join("\r\n")}\r\n\r\n" }
  end

  describe "trailer fields" do
    it "are given to on_complete, in the shape of headers", id: "ST11" do
      upstream = trailing("X-Digest: abc", "grpc-status: 0", "X-Digest: def")
      fetch(linted(on_complete:) { upstream.url })
      trailers = completed.pop.trailers
      expect(header_lines(trailers)).to eq("x-digest" => %w[abc def], "grpc-status" => ["0"])
      expect(trailers["grpc-status"]).to eq("0")
    end

    it "are not merged into the header, nor announced", id: "ST11" do
      upstream = trailing("X-Digest: abc", head: ["Trailer: X-Digest"])
      server = start_puma(RackupText.proxy, env: { "UPSTREAM" => upstream.url("") })
      client = connect(server)
      client.get
      response = client.read_response
      expect(response.body).to eq("body")
      expect(response.head.names).not_to include("trailer", "x-digest")
      client.get("/__pid")
      expect(client.read_head.status).to eq(200)
    end

    it "that may not come behind a body are left out", id: "ST11" do
      forbidden = ["Content-Length: 9", "Transfer-Encoding: chunked", "Host: x", "Set-Cookie: a=1",
                   "Authorization: x", "Connection: close", "Cache-Control: no-store",
                   "Content-Type: x/y", "TE: x", "If-Match: x", "X-Accel-Redirect: /x", "X-Hop: 1"]
      upstream = trailing(*forbidden, "X-Kept: yes", head: ["Connection: X-Hop"])
      fetch(linted(on_complete:) { upstream.url })
      expect(header_lines(completed.pop.trailers)).to eq("x-kept" => ["yes"])
    end

    it "leave the connection fit for the next request", id: "CN1" do
      upstream = trailing("X-Digest: abc")
      app = linted { upstream.url }
      2.times { fetch(app) }
      expect(upstream.connections.size).to eq(1)
    end

    it "are none where there are none" do
      upstream = serving { [200, {}, "body"] }
      fetch(linted(on_complete:) { upstream.url })
      expect(completed.pop.trailers.to_h).to eq({})
    end
  end

  describe "TE" do
    def sent_for(fields)
      upstream = serving { [200, {}, ""] }
      fetch(linted { upstream.url }, "/", fields)
      upstream.wait_for_request
    end

    it "goes up as trailers, for this hop, when the client asked for them", id: "ST11" do
      head = sent_for("HTTP_TE" => "deflate;q=0.5, trailers", "HTTP_CONNECTION" => "TE")
      expect([head.all("te"), head.all("connection")]).to eq([["trailers"], ["te"]])
    end

    it "does not go up otherwise", id: "ST11" do
      [{}, { "HTTP_TE" => "deflate" }].each do |fields|
        expect(sent_for(fields).names & %w[te connection]).to eq([])
      end
    end
  end

  describe "on_complete" do
    let(:upstream) { serving { [200, {}, "body"] } }

    it "is called once, with the response, when the body has been read and closed" do
      _, _, body = bare(on_complete:) { upstream.url }.call(env_for)
      body.each { expect(completed).to be_empty }
      2.times { body.close }
      expect(completed.pop.status).to eq(200)
      expect(completed).to be_empty
    end

    it "is called on the thread that closes the body" do
      threads = []
      fetch(bare(on_complete: ->(_) { threads << Thread.current }) { upstream.url })
      expect(threads).to eq([Thread.current])
    end

    { "HEAD" => "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
      "GET" => "HTTP/1.1 204 No Content\r\n\r\n" }.each do |method, text|
      it "is called for a response to #{method} without a body" do
        bodiless = serving { text }
        fetch(linted(on_complete:) { bodiless.url }, "/", method:)
        expect(completed.pop.status).to eq(text[/ (\d+)/, 1].to_i)
        expect(completed).to be_empty
      end
    end

    it "is called for a 5xx that is passed on, once for all attempts" do
      failing = serving { [503, {}, "later"] }
      fetch(linted(on_complete:, num_retries_on_5xx: 1, retry_delay: 0.01) { failing.url })
      expect(completed.pop.status).to eq(503)
      expect(completed).to be_empty
    end

    it "is not called for a body that was cut short" do
      cut = start_upstream do |connection|
        connection.read_head
        connection.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfour")
      end
      expect { fetch(linted(on_complete:) { cut.url }) }
        .to raise_error(Rack::StreamingProxy::BodyError)
      expect(completed).to be_empty
    end

    it "is not called for a body that nobody read to its end" do
      _, _, body = bare(on_complete:) { upstream.url }.call(env_for)
      body.close
      _, _, body = bare(on_complete:) { upstream.url }.call(env_for)
      leaving = ->(_chunk) { raise EOFError, "the client has gone" }
      expect { body.each(&leaving) }.to raise_error(EOFError)
      body.close
      expect(completed).to be_empty
    end

    it "is not called for an answer of our own" do
      port = closed_port
      expect(fetch(linted(on_complete:) { "http://127.0.0.1:#{port}/" }).status).to eq(502)
      expect(completed).to be_empty
    end

    it "changes nothing when it raises, but is logged" do
      logger = InProcessCalls::RecordingLogger.new
      answer = fetch(linted(logger:, on_complete: ->(_) { raise "oops" }) { upstream.url })
      expect([answer.status, answer.body]).to eq([200, "body"])
      expect(logger.lines.grep(/on_complete failed: RuntimeError: oops/).size).to eq(1)
      expect(logger.lines.last).to match(/Finishing proxy request/)
    end

    %i[puma unicorn].each do |kind|
      it "is called on #{kind} when the client has got everything" do
        settings = "on_complete: ->(response) { puts %(completed \#{response.status}) }"
        server = start_server(kind, RackupText.proxy(settings),
                              env: { "UPSTREAM" => trailing("X-A: b").url("") })
        client = connect(server)
        client.get
        expect(client.read_response.body).to eq("body")
        expect(server.output.wait_for(/^completed 200$/)).to be_truthy
      end
    end
  end
end
