# frozen_string_literal: true

require "open3"
require "tempfile"
require_relative "behaviour"

RSpec.describe "Falcon" do
  profile = ServerProfile.declare(
    :falcon, "Falcon",
    live: true,
    head: true,
    truncation: true,
    http10: true,
    chunks: true,
    live_uploads: true,
    chunked_uploads: true,
    several_values: true,
    client_gone: true,
    shutdown: true,
    restart: "Falcon's supervisor restarts its processes; here its core is run alone.",
    deflater: true,
    rack_timeout: "Its exception hits whatever the fibers' thread is at, the server included."
  )

  include_examples "a Rack server", profile

  next unless profile.installed?

  describe "adaptation" do
    once { @server = start_server(:falcon, RackupText.proxy_to_ports) }

    { "with a length" => [{ "Content-Length" => "60000" }, "a piece"],
      "in chunks" => [{ "Transfer-Encoding" => "chunked" }, "7\r\na piece\r\n"] }
      .each do |framing, (headers, piece)|
        it "passes an early answer to a slow upload #{framing}", id: "ST6" do
          upstream = start_upstream do |connection|
            connection.read_head
            connection.respond(403, { "Connection" => "close" }, "no")
            connection.wait_for_end(within: 20)
          end
          client = ask(upstream, "POST", headers)
          client.write(piece)
          expect(client.read_response).to have_attributes(status: 403, body: "no")
        end
      end

    it "gets no header that it would complain of" do
      upstream = serving do
        [200, { "Connection" => "keep-alive", "Keep-Alive" => "timeout=5" }, "text"]
      end
      expect(outcome(ask(upstream)).body).to eq("text")
      expect(@server.output.to_s).not_to include("hop headers")
    end

    continue = "HTTP/1.1 100 Continue\r\n\r\n"

    [{ "Content-Length" => "4" }, { "Transfer-Encoding" => "chunked" }].each do |framing|
      it "asks the client for its upload when the upstream asks (#{framing.keys.first})",
         id: "ST9" do
        upstream = start_upstream do |connection|
          head = connection.read_head
          connection.write(continue)
          body = head.chunked? ? connection.read_chunked : connection.read_exactly(4)
          connection.respond(200, {}, "#{head["Expect"]} #{body}")
        end
        client = ask(upstream, "POST", framing.merge("Expect" => "100-continue"))
        expect(client.read_head.raw.downcase).to eq(continue.downcase)
        client.write(framing.key?("Content-Length") ? "body" : ChunkedBody.encode("body"))
        expect(client.read_response.body).to eq("100-continue body")
      end
    end

    it "lets an answer through before the upload is asked for", id: "ST9" do
      upstream = start_upstream do |connection|
        connection.read_head
        connection.respond(417, {}, "no")
        connection.wait_for_end
      end
      client = ask(upstream, "POST", { "Content-Length" => "4", "Expect" => "100-continue" })
      expect(client.read_response).to have_attributes(status: 417, body: "no")
    end

    it "tells of early hints", id: "ST10" do
      upstream = start_upstream do |connection|
        connection.read_head
        connection.write("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\n\r\n")
        connection.respond(200, {}, "text")
      end
      client = ask(upstream)
      expect(client.read_head).to have_attributes(status: 103)
      expect(client.head["Link"]).to eq("</a>, </b>")
      expect(client.read_response.body).to eq("text")
    end

    it "refuses an upload of which something else has read all", id: "RQ6" do
      @server = start_server(:falcon, RackupText.proxy_to_ports(above: <<~RUBY))
        use(Class.new do
          def initialize(app) = @app = app

          def call(env) = env["rack.input"].read && @app.call(env)
        end)
      RUBY
      upstream = serving { [200, {}, "reached"] }
      client = ask(upstream, "POST", { "Transfer-Encoding" => "chunked" })
      client.write(ChunkedBody.encode("body"))
      expect([client.read_response.status, upstream.requests]).to eq([400, []])
    end

    # curl as a client that knows that the server speaks HTTP/2.
    def curl(upstream, *arguments)
      output, status = Open3.capture2("curl", "-sN", "--http2-prior-knowledge", *arguments,
                                      @server.url("/#{upstream.port}/h2"))
      [output, status.success?]
    end

    it "speaks HTTP/2: responses and uploads come through whole" do
      upstream = serving { |request| [200, {}, request.body.empty? ? "text" : request.body] }
      body = "b" * 300_000
      expect(curl(upstream, "--include").first).to match(%r{\AHTTP/2 200.*\r\n\r\ntext\z}m)
      Tempfile.create("upload") do |file|
        file.write(body)
        file.flush
        expect(curl(upstream, "--data-binary", "@#{file.path}")).to eq([body, true])
      end
    end

    it "shows a client of HTTP/2 what was cut short", id: "ST2" do
      upstream = start_upstream do |connection|
        connection.read_head
        connection.begin_chunked
        connection.chunk("first")
      end
      expect(curl(upstream)).to eq(["first", false])
    end

    it "notices that a client of HTTP/2 has left", id: "ST4" do
      ended = EventQueue.new("end of the upstream's connection")
      upstream = start_upstream do |connection|
        connection.read_head
        connection.begin_chunked
        connection.chunk("first")
        ended << connection.wait_for_end(within: 20)
      end
      expect(curl(upstream, "--max-time", "1").last).to be(false)
      expect(ended.pop(within: 10)).not_to be_nil
    end
  end
end
