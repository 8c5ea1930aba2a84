# frozen_string_literal: true

require "open3"
require "tempfile"
require_relative "behaviour"

RSpec.describe "Falcon" do
  profile = ServerProfile.declare(
    :falcon, "Falcon",
    signals: { "INT" => ServerSignal.new("INT", :stop, loses: :unanswered),
               "TERM" => ServerSignal.new("TERM", :stop, loses: :unanswered) },
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
    rack_timeout: "It raises in the thread of all fibers: a head that is late ends the server, " \
                  "and every stream visibly; `total_timeout` ends the one request."
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

    # @return [Integer] Ruby's threads in the server
    def threads
      connect(@server).tap { |client| client.get("/__threads") }.read_response.body.to_i
    end

    it "waits for the uploads of slow clients without a thread for each" do
      upstream = serving { |request| [200, {}, request.body] }
      before = threads
      clients = Array.new(20) { ask(upstream, "POST", { "Content-Length" => "4" }) }
      20.times { upstream.wait_for_request }
      expect(threads).to eq(before)
      clients.each { |client| client.write("body") }
      expect(clients.map { |client| client.read_response.body }).to eq(["body"] * 20)
    end

    it "has 100 streams in their bodies at once, on one thread", id: "ST1" do
      go = EventQueue.new("sign to go on")
      upstream = start_upstream do |connection|
        connection.read_head
        connection.begin_chunked
        connection.chunk("first")
        go.pop(within: 30)
        connection.chunk("last")
        connection.end_chunked
      end
      before = threads
      clients = Array.new(100) { ask(upstream) }
      first = clients.map { |client| client.tap(&:read_head).read_chunk }
      expect([first, threads]).to eq([["first"] * 100, before])
      100.times { go << true }
      expect(clients.map(&:read_chunk)).to eq(["last"] * 100)
    end

    # A process with a task that reads a proxied response, and stops it at USR1.
    def stopping_task(upstream)
      keep RubyProcess.new("-r", "rack/streaming_proxy", "-e", <<~RUBY)
        require "async"
        require "rack/mock"
        stop = false
        Signal.trap("USR1") { stop = true }
        proxy = Rack::StreamingProxy::Proxy.new(nil) { #{upstream.url.inspect} }
        env = Rack::MockRequest.env_for("/")
        Sync do |task|
          request = task.async { proxy.call(env)[2].each { |chunk| warn chunk } }
          sleep 0.01 until stop
          request.stop
          sleep # The end of this process would end the connection, too.
        end
      RUBY
    end

    { "before the head" => "", "in the body" => "HTTP/1.1 200 OK\r\n\r\nhalf" }
      .each do |moment, answer|
        it "closes the upstream of a task that is stopped #{moment}", id: "ST4" do
          ended = EventQueue.new("end of the upstream's connection")
          upstream = start_upstream do |connection|
            connection.read_head
            connection.write(answer)
            ended << connection.wait_for_end(within: 20)
          end
          process = stopping_task(upstream)
          upstream.wait_for_request(within: 20)
          process.output.wait_for(/half/, within: 20) unless answer.empty?
          process.signal("USR1")
          expect(ended.pop).not_to be_nil
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
