# frozen_string_literal: true

require_relative "behaviour"

RSpec.describe "Puma" do
  profile = ServerProfile.declare(
    :puma, "Puma",
    restarts: {
      "USR2 (hot)" => [{}, ->(server) { server.signal("USR2") }],
      "USR1 (phased)" =>
        [{ workers: 2, more: "prune_bundler false" }, ->(server) { server.signal("USR1") }]
    },
    live: true,
    head: true,
    truncation: true,
    http10: true,
    live_uploads: "Puma reads the whole body before it calls the application.",
    chunked_uploads: true,
    several_values: true,
    client_gone: true,
    shutdown: true,
    restart: true,
    deflater: true
  )

  include_examples "a Rack server", profile

  if profile.installed?
    context "on a Unix socket" do
      once { @server = start_server(:puma, RackupText.proxy_to_ports, unix: true) }

      include_examples "streaming", profile
    end
  end
end
