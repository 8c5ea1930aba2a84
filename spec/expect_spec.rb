# frozen_string_literal: true

require "digest/sha2"

# A client that waits for `100 Continue` is asked for its upload when the upstream wants it, where
# the server leaves that to the application: on Unicorn.
RSpec.describe "Expect: 100-continue" do
  continue = "HTTP/1.1 100 Continue\r\n\r\n"
  asking = { "Content-Length" => "4", "Expect" => "100-continue" }

  def server_for(kind, upstream, settings = "")
    start_server(kind, RackupText.proxy(settings), env: { "UPSTREAM" => upstream.url("") })
  end

  context "on Unicorn" do
    it "goes up, and the client is asked once the upstream has asked", id: "ST9" do
      asked = EventQueue.new("word to ask")
      upstream = start_upstream do |connection|
        head = connection.read_head
        asked.pop
        connection.write(continue)
        connection.respond(200, {}, "#{head["expect"]} #{connection.read_exactly(4)}")
      end
      client = connect(server_for(:unicorn, upstream))
      client.request("POST", "/", asking)
      upstream.wait_for_request
      expect(client.io.wait_readable(0.3)).to be_nil
      asked << true
      expect(client.read_head.raw).to eq(continue)
      client.write("body")
      expect(client.read_response.body).to eq("100-continue body")
    end

    { 417 => {}, 413 => {}, 401 => { "WWW-Authenticate" => "Basic" },
      302 => { "Location" => "/elsewhere" } }.each do |status, fields|
      it "lets a #{status} through before the upload is asked for", id: "ST9" do
        ended = EventQueue.new("end at the upstream")
        upstream = start_upstream do |connection|
          connection.read_head
          connection.respond(status, fields, "no")
          ended << connection.read_to_end
        end
        client = connect(server_for(:unicorn, upstream))
        client.request("POST", "/", asking)
        response = client.read_response
        expect([response.status, response.body]).to eq([status, "no"])
        expect(client.read_to_end.first).to eq("")
        expect(ended.pop.first).to eq("")
      end
    end

    it "does not wait longer than a second for an upstream that does not know it", id: "ST9" do
      upstream = serving { |request| [200, {}, request.body] }
      client = connect(server_for(:unicorn, upstream))
      seconds = elapsed do
        client.request("POST", "/", asking)
        expect(client.read_head.raw).to eq(continue)
      end
      expect(seconds).to be_between(1, 5)
      client.write("body")
      expect(client.read_response.body).to eq("body")
    end

    it "asks nobody after the final head, but takes what comes all the same", id: "ST9" do
      upstream = start_upstream do |connection|
        connection.read_head
        connection.begin_chunked
        connection.chunk("early ")
        connection.chunk(connection.read_exactly(4))
        connection.end_chunked
      end
      client = connect(server_for(:unicorn, upstream))
      client.request("POST", "/", asking)
      expect(client.read_head.status).to eq(200)
      expect(client.read_chunk).to eq("early ")
      client.write("body")
      expect(client.read_chunk).to eq("body")
      expect(client.read_chunk).to be_nil
    end

    it "streams a chunked upload", id: "ST9" do
      upstream = start_upstream do |connection|
        connection.read_head
        connection.write(continue)
        connection.respond(200, {}, connection.read_chunked)
      end
      client = connect(server_for(:unicorn, upstream))
      client.request("POST", "/", { "Transfer-Encoding" => "chunked",
                                    "Expect" => "100-Continue" })
      expect(client.read_head.raw).to eq(continue)
      client.write(ChunkedBody.encode("some", " more"))
      expect(client.read_response.body).to eq("some more")
    end

    it "takes the upload of a client that did not wait", id: "ST9" do
      upstream = start_upstream do |connection|
        connection.read_head
        connection.write(continue)
        connection.respond(200, {}, connection.read_exactly(4))
      end
      client = connect(server_for(:unicorn, upstream))
      client.request("POST", "/", asking, "body")
      expect(client.read_head.raw).to eq(continue)
      expect(client.read_response.body).to eq("body")
    end

    it "asks a client of HTTP/1.0 for nothing and waits for nothing", id: "ST9" do
      upstream = serving { |request| [200, {}, "#{request["expect"]}#{request.body}"] }
      server = server_for(:unicorn, upstream)
      at_once = takes_less_than?(0.8) do
        client = connect(server)
        client.request("POST", "/", asking, "body", version: "1.0")
        expect(client.read_response.body).to eq("body")
      end
      expect(at_once).to be(true)
    end

    it "does not go up without a body, or when it is another", id: "ST9" do
      upstream = serving { |request| [200, {}, request["expect"].inspect] }
      server = server_for(:unicorn, upstream)
      [[{ "Content-Length" => "0", "Expect" => "100-continue" }, nil],
       [{ "Expect" => "200-ok" }, "body"]].each do |fields, body|
        at_once = takes_less_than?(0.8) do
          client = connect(server)
          client.request("POST", "/", fields, body)
          expect(client.read_response.body).to eq("nil")
        end
        expect(at_once).to be(true)
      end
    end

    it "is not waited for when the configuration clears it", id: "ST9" do
      upstream = serving { |request| [200, {}, request["expect"].inspect] }
      server = server_for(:unicorn, upstream, 'headers: { "Expect" => nil }')
      at_once = takes_less_than?(0.8) do
        client = connect(server)
        client.request("POST", "/", asking.merge("Connection" => "close"))
        expect(client.read_head.raw).to eq(continue)
        client.write("body")
        expect(client.read_response.body).to eq("nil")
      end
      expect(at_once).to be(true)
    end

    it "notices a client that leaves instead of sending", id: %w[ST9 ST4] do
      ended = EventQueue.new("end at the upstream")
      upstream = start_upstream do |connection|
        connection.read_head
        connection.write(continue)
        ended << connection.wait_for_end
      end
      client = connect(server_for(:unicorn, upstream))
      client.request("POST", "/", asking)
      client.read_head
      client.close
      expect(ended.pop).to be_truthy
    end

    describe "with an attempt that is answered with a 5xx" do
      let(:retrying) { "num_retries_on_5xx: 1, retry_delay: 0.01" }

      # The first attempt reads so much of the body and fails; the second takes all.
      def failing_once(after:)
        attempt = 0
        start_upstream do |connection|
          head = connection.read_head
          connection.write("HTTP/1.1 100 Continue\r\n\r\n") if after.positive? || attempt.positive?
          if (attempt += 1) == 1
            connection.read_exactly(after)
            connection.respond(503, { "Connection" => "close" })
            connection.wait_for_end
          else
            body = connection.read_exactly(head.content_length)
            connection.respond(200, {}, Digest::SHA256.hexdigest(body))
          end
        end
      end

      { "before the upload" => 0, "with an upload that is kept" => 1000,
        "with an upload that is read again" => 200_000 }.each do |what, after|
        it "sends all of it to the next, #{what}", id: %w[ST9 RT4] do
          body = Random.bytes(300_000)
          client = connect(server_for(:unicorn, failing_once(after:), retrying))
          client.request("POST", "/", asking.merge("Content-Length" => "300000"))
          expect(client.read_head.raw).to eq("HTTP/1.1 100 Continue\r\n\r\n")
          in_thread { client.write(body) }
          response = client.read_response
          expect([response.status, response.body]).to eq([200, Digest::SHA256.hexdigest(body)])
        end
      end
    end
  end

  context "on Puma, which has answered it" do
    it "stays here", id: "ST9" do
      upstream = serving { |request| [200, {}, request["expect"].inspect + request.body] }
      client = connect(server_for(:puma, upstream))
      client.request("POST", "/", asking)
      expect(client.read_head.raw).to eq(continue)
      client.write("body")
      expect(client.read_response.body).to eq("nilbody")
    end
  end

  context "on a server of which nothing is known" do
    it "stays here", id: "ST9" do
      upstream = serving { |request| [200, {}, request["expect"].inspect + request.body] }
      answer = fetch(linted { upstream.url }, "/", method: "POST", input: "body",
                                                   "HTTP_EXPECT" => "100-continue")
      expect(answer.body).to eq("nilbody")
    end
  end
end
