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
end
