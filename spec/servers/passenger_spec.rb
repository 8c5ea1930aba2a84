# frozen_string_literal: true

require_relative "behaviour"

RSpec.describe "Passenger" do
  profile = ServerProfile.declare(
    :passenger, "Passenger",
    restarts: {
      "tmp/restart.txt" => [{ more: ["--ctl", "stat_throttle_rate=0"], workers: 2 },
                            lambda { |server|
                              FileUtils.mkdir(File.join(server.directory, "tmp"))
                              FileUtils.touch(File.join(server.directory, "tmp/restart.txt"))
                            }]
    },
    live: true,
    head: true,
    truncation: true,
    http10: "Passenger calls every client one of HTTP/1.1: one of HTTP/1.0 gets chunks.",
    live_uploads: "An upload with a length goes up in pieces of 16 KiB; one in chunks as it comes.",
    chunked_uploads: true,
    several_values: "Passenger joins them with commas; Set-Cookie it does not.",
    client_gone: true,
    shutdown: "Passenger Standalone with its own engine (`builtin`) cuts streams, which is seen.",
    restart: true,
    deflater: true
  )

  include_examples "a Rack server", profile
end
