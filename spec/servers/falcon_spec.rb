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
        it "passes an early answer to a slow upload #{framing}", id: "RQ10" do
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
