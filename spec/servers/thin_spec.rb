# frozen_string_literal: true

require_relative "behaviour"

RSpec.describe "Thin" do
  profile = ServerProfile.declare(
    :thin, "Thin",
    signals: {
      "QUIT" => ServerSignal.new("QUIT", :drain),
      "TERM" => ServerSignal.new("TERM", :drain),
      "INT" => ServerSignal.new("INT", :stop, loses: :responses),
      "HUP" => ServerSignal.new("HUP", :stop, loses: :responses)
    },
    live: true,
    head: true,
    truncation: true,
    http10: true,
    chunks: "Thin ends the connection instead.",
    live_uploads: "Thin reads the whole body before it calls the application.",
    chunked_uploads: "Thin does not read chunks; the proxy answers such an upload with 400.",
    several_values: "They come joined with commas; Set-Cookie does not.",
    client_gone: true,
    hijack: "Thin hands no socket over: each stream has a thread.",
    tunnel: "Thin hands no connection over: requests go up without `Upgrade`.",
    shutdown: true,
    restart: "`thin restart` cuts streams, which is seen.",
    deflater: "A response is not compressed: to do so, the middleware would collect it, and the " \
              "reactor serve nobody else meanwhile.",
    rack_timeout: true
  )

  include_examples "a Rack server", profile

  next unless profile.installed?

  include_examples "compression of known length", :thin, nil

  context "with threads" do
    # As Rails' executor, which has to end where it began.
    outside = <<~RUBY
      use(Class.new do
        def initialize(app) = @app = app
        def call(env)
          thread = Thread.current
          status, headers, body = @app.call(env)
          closed = Rack::BodyProxy.new(body) { puts "ended where it began: \#{Thread.current == thread}" }
          [status, headers, closed]
        end
      end)
    RUBY
    once do
      @server = start_server(:thin, RackupText.proxy_to_ports(above: outside), more: ["--threaded"])
    end

    include_examples "streaming", profile
    include_examples "truncation", profile
    include_examples "leaving clients", profile

    { "whole" => "4\r\nlast\r\n0\r\n\r\n", "cut short" => "", "left" => nil }.each do |how, rest|
      it "ends what stands outside in the request's thread: a response that is #{how}" do
        upstream = start_upstream do |connection|
          connection.read_head
          connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
          rest ? connection.write(rest) : connection.wait_for_end
        end
        client = ask(upstream)
        before = @server.output.to_s.size
        client.read_head && client.read_exactly(5)
        rest ? outcome(client, begun: "first") : client.close
        ended = @server.output.wait_for(/\A.{#{before}}.*ended where it began: (\w+)/m, within: 20)
        expect(ended[1]).to eq("true")
      end
    end

    it "takes one request after another on a connection" do
      upstream = serving { |request| [200, { "X" => "1" }, "#{request.body} came"] }
      client = connect(@server)
      20.times do |number|
        client.request("POST", "/#{upstream.port}/a", {}, "number #{number}")
        expect(client.read_response.body).to eq("number #{number} came")
      end
    end
  end

  describe "adaptation" do
    before { @server = start_server(:thin, RackupText.proxy_to_ports, **options) }

    let(:options) { {} }

    # A stream of which the client has read the first bytes; `@go` lets it go on.
    def begun_stream(framing, rest)
      @go = EventQueue.new("sign to go on")
      upstream = start_upstream do |connection|
        connection.read_head
        connection.write("HTTP/1.1 200 OK\r\n#{framing}\r\n\r\n")
        connection.write(framing.include?("chunked") ? "5\r\nfirst\r\n" : "first")
        @go.pop(within: 20)
        connection.write(rest)
      end
      ask(upstream).tap do |client|
        client.read_head
        expect(client.read_exactly(5)).to eq("first")
      end
    end

    # @return [Boolean] whether the proxy has, in a moment, given Thin all that came
    def finished?
      @server.output.wait_for(/Finishing proxy request/, within: 0.02)
    rescue RawSocket::Expired
      false
    end

    lengths = { "unknown" => ["Transfer-Encoding: chunked", "4\r\nlast\r\n0\r\n\r\n"],
                "known" => ["Content-Length: 9", "last"] }

    lengths.each do |length, (framing, rest)|
      %w[KILL INT HUP].each do |signal|
        it "shows that #{signal} cut a body of #{length} length short", id: "ST2" do
          client = begun_stream(framing, rest)
          @server.signal(signal)
          seen = outcome(client, begun: "first")
          expect([seen.body, seen.whole]).to eq(["first", false])
        end
      end

      it "has no error page in a body of #{length} length when another request comes", id: "ST2" do
        client = begun_stream(framing, rest)
        client.get("/__pid")
        seen = outcome(client, begun: "first")
        expect([seen.body, seen.whole]).to eq(["first", false])
      end
    end

    it "shows that INT cut what Thin had still to send of a body of unknown length", id: "ST2" do
      size = 12 << 20
      client = ask(start_upstream do |connection|
        connection.read_head
        connection.begin_chunked
        (size >> 16).times { connection.chunk("p" * 65_536) }
        connection.end_chunked
      end)
      client.io.setsockopt(Socket::SOL_SOCKET, Socket::SO_RCVBUF, 65_536)
      client.read_head
      body = client.read_exactly(size / 2)
      body << client.read_exactly(16_384) until finished?
      @server.signal("INT")
      @server.output.wait_for(/Stopping/)
      seen = outcome(client, begun: body)
      # Linux may have taken the last of it from Thin.
      expect(seen.whole).to be(seen.body.bytesize == size)
    end

    it "takes no bytes behind a request for its body", id: "RQ5" do
      upstream = serving { |request| [200, {}, request.body] }
      client = connect(@server)
      client.write("GET /#{upstream.port}/a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\n\r\n")
      expect(client.read_response.body).to eq("")
      expect(upstream.requests.first.content_length).to be_nil
    end

    it "answers an upload in chunks, and takes none of it for a request", id: "RQ7" do
      upstream = serving { [200, {}, "reached"] }
      client = connect(@server)
      client.request("POST", "/#{upstream.port}/a", { "Transfer-Encoding" => "chunked" })
      expect(client.read_response).to have_attributes(status: 400)
      client.write("GET /#{upstream.port}/b HTTP/1.1\r\nHost: a\r\n\r\n")
      expect([client.wait_for_end, upstream.requests]).to eq([client.ending, []])
    end

    it "lets the upstream wait for a client that does not read", id: "ST7" do
      blocked = EventQueue.new("bytes that the upstream could write")
      upstream = start_upstream do |connection|
        connection.read_head
        connection.write("HTTP/1.1 200 OK\r\n\r\n")
        blocked << connection.write_until_blocked(limit: 256 << 20)
      end
      ask(upstream)
      expect(blocked.pop(within: 20)).to be < 32 << 20
    end

    it "reads a stream in a thread that has a name and ends with it" do
      client = begun_stream(*lengths.fetch("unknown"))
      expect(ProcessFacts.thread_names(@server.pid)).to include("rsp-reader")
      @go << true
      expect(outcome(client, begun: "first").whole).to be(true)
      names = -> { ProcessFacts.thread_names(@server.pid) }
      expect(Deadline.new(10).poll { !names.call.include?("rsp-reader") }).to be(true)
    end

    context "with a short timeout of its own" do
      let(:options) { { more: ["--timeout", "1"] } }

      it "waits as long as the proxy's settings say" do
        client = begun_stream(*lengths.fetch("unknown"))
        expect { client.read_some(within: 3) }.to raise_error(RawSocket::Expired)
        @go << true
        expect(outcome(client, begun: "first")).to have_attributes(body: "firstlast", whole: true)
      end
    end
  end
end
