# frozen_string_literal: true

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
end
