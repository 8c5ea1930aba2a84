# frozen_string_literal: true

require_relative "behaviour"

RSpec.describe "Unicorn" do
  profile = ServerProfile.declare(
    :unicorn, "Unicorn",
    restarts: {
      "HUP" => [{ fixed: true }, ->(server) { server.signal("HUP") }],
      "USR2 and QUIT" => [{ fixed: true }, lambda { |server|
        server.signal("USR2")
        server.output.wait_for(/worker=0 ready.*worker=0 ready/m, within: 20)
        server.signal("QUIT")
      }]
    },
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
    restart: true,
    deflater: "A body of unknown length is not compressed: it carries its chunk framing, by " \
              "which it is seen to be whole.",
    rack_timeout: true
  )

  include_examples "a Rack server", profile

  next unless profile.installed?

  include_examples "compression of known length", :unicorn, "gzip"
end
