# frozen_string_literal: true

require_relative "behaviour"

RSpec.describe "WEBrick" do
  profile = ServerProfile.declare(
    :webrick, "WEBrick",
    signals: { "INT" => ServerSignal.new("INT", :stop),
               "TERM" => ServerSignal.new("TERM", :stop) },
    live: true,
    head: true,
    truncation: true,
    http10: true,
    chunks: ServerProfile.limit("With Rack 3 WEBrick ends the connection instead.",
                                here: Rack.release >= "3"),
    live_uploads: ServerProfile.limit(
      "An upload with a length goes up in pieces of 64 KiB, one in chunks as it comes; with " \
      "Rack 2 WEBrick reads the whole body before it calls the application.",
      except: ("in chunks" if Rack.release >= "3")
    ),
    chunked_uploads: true,
    several_values: "WEBrick joins them with commas; Set-Cookie it does not.",
    client_gone: true,
    hijack: "WEBrick's threads write: its hijack is a pipe, or a call in the thread.",
    tunnel: "WEBrick hands no connection over: requests go up without `Upgrade`.",
    shutdown: true,
    restart: "WEBrick has no restart of its own.",
    deflater: "A response is not compressed: to do so, the middleware would collect it.",
    rack_timeout: true
  )

  include_examples "a Rack server", profile

  next unless profile.installed?

  include_examples "compression of known length", :webrick, nil

  # With Rack::Lint, and with Rack 2 Rack::ContentLength, outside.
  context "as rackup starts it for development" do
    once { @server = start_server(:webrick, RackupText.proxy_to_ports, environment: "development") }

    include_examples "streaming", profile
    include_examples "truncation", profile
  end

  describe "adaptation" do
    once { @server = start_server(:webrick, RackupText.proxy_to_ports) }

    { "a range" => [{ "Range" => "bytes=1-4" }, 206, { "Content-Range" => "bytes 1-4/9" }],
      "an error" => [{}, 404, {}], "a condition" => [{ "If-None-Match" => '"v1"' }, 200, {}] }
      .each do |what, (asked, status, headers)|
        it "passes the answer to #{what} whole" do
          upstream = serving { [status, headers, "body"] }
          seen = outcome(ask(upstream, "GET", asked))
          expect(seen).to have_attributes(status:, body: "body", whole: true)
        end
      end

    if profile.can?(:chunks)
      it "gives a client that reads late all that came before a cut", id: "ST2" do
        upstream = start_upstream do |connection|
          connection.read_head
          connection.begin_chunked
          connection.chunk("p" * 1_000_000)
        end
        client = ask(upstream)
        @server.output.wait_for(/Failed proxy request to: GET #{upstream.url("/path")}/)
        seen = outcome(client)
        expect([seen.body.bytesize, seen.whole]).to eq([1_000_000, false])
        expect(@server.output.to_s).not_to include("closed stream")
      end
    end

    changing = {
      "encodes bodies unasked" => [<<~RUBY, "FIRSTLAST"],
        def call(env)
          status, headers, body = @app.call(env)
          return [status, headers, body] unless status == 200

          headers.delete("content-length")
          headers["content-encoding"] = "x-upcase"
          [status, headers, Enumerator.new { |out| body.each { |chunk| out << chunk.upcase } }]
        end
      RUBY
      "has a rack.hijack of its own" => [<<~RUBY, "firstlast"]
        def call(env) = @app.call(env.merge("rack.hijack" => proc {}))
      RUBY
    }
    changing.each do |what, (call, body)|
      context "behind a middleware that #{what}" do
        once do
          @server = start_server(:webrick, RackupText.proxy_to_ports(above: <<~RUBY))
            use(Class.new do
              def initialize(app) = @app = app
              #{call}
            end)
          RUBY
        end

        { "of known length" => "Content-Length: 9\r\n\r\nfirstlast",
          "of unknown length" =>
            "Transfer-Encoding: chunked\r\n\r\n#{ChunkedBody.encode("firstlast")}" }
          .each do |length, rest|
          it "passes a response #{length} whole" do
            seen = outcome(ask(serving { "HTTP/1.1 200 OK\r\n#{rest}" }))
            expect(seen).to have_attributes(status: 200, body:, whole: true)
          end
        end

        it "does not make one that was cut short look whole", id: "ST2" do
          seen = outcome(ask(start_upstream do |connection|
            connection.read_head
            connection.begin_chunked
            connection.chunk("first")
          end))
          expect(seen.whole && seen.status < 500).to be_falsey
        end
      end
    end

    it "shows a killed server's stream to be cut short", id: "ST2" do
      @server = start_server(:webrick, RackupText.proxy_to_ports)
      upstream = start_upstream do |connection|
        connection.read_head
        connection.begin_chunked
        connection.chunk("first")
        connection.wait_for_end(within: 20)
      end
      client = ask(upstream)
      client.read_head
      expect(client.read_chunk).to eq("first")
      @server.signal("KILL")
      expect(outcome(client, begun: "first")).to have_attributes(body: "first", whole: false)
    end
  end
end
