# frozen_string_literal: true

require_relative "behaviour"

RSpec.describe "WEBrick" do
  profile = ServerProfile.declare(
    :webrick, "WEBrick",
    live: true,
    head: true,
    truncation: true,
    http10: true,
    chunks: ServerProfile.limit("With Rack 3 WEBrick ends the connection instead.",
                                here: Rack.release >= "3"),
    live_uploads: "WEBrick reads in pieces of 64 KiB, and with Rack 2 the whole body before it " \
                  "calls the application.",
    chunked_uploads: true,
    several_values: "WEBrick joins them with commas; Set-Cookie it does not.",
    client_gone: true,
    shutdown: true,
    restart: "WEBrick has no restart of its own.",
    deflater: true,
    rack_timeout: true
  )

  include_examples "a Rack server", profile

  next unless profile.installed?

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
