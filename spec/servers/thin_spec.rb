# frozen_string_literal: true

require_relative "behaviour"

RSpec.describe "Thin" do
  profile = ServerProfile.declare(
    :thin, "Thin",
    live: true,
    head: true,
    truncation: true,
    http10: true,
    chunks: "Thin ends the connection instead.",
    live_uploads: "Thin reads the whole body before it calls the application.",
    chunked_uploads: "Thin does not read chunks; the proxy answers such an upload with 400.",
    several_values: "They come joined with commas; Set-Cookie does not.",
    client_gone: true,
    shutdown: true,
    restart: "`thin restart` cuts streams, which is seen.",
    deflater: true,
    rack_timeout: true
  )

  include_examples "a Rack server", profile
end
