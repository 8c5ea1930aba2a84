# frozen_string_literal: true

require_relative "behaviour"

RSpec.describe "Unicorn" do
  profile = ServerProfile.declare(
    :unicorn, "Unicorn",
    signals: {
      "HUP" => ServerSignal.new("HUP", :restart, fixed: true, workers: 2),
      "USR2 and QUIT" => ServerSignal.new(lambda { |server|
        server.signal("USR2")
        server.output.wait_for(/worker=0 ready.*worker=0 ready/m, within: 30)
        server.signal("QUIT")
      }, :restart, fixed: true),
      "USR1 (logs opened again)" =>
        ServerSignal.new("USR1", :continue, seen: /worker=0 done reopening logs/, workers: 2),
      "TTIN and TTOU" => ServerSignal.new(lambda { |server|
        server.signal("TTIN")
        server.output.wait_for(/worker=1 ready/, within: 30)
        server.signal("TTOU")
      }, :continue, seen: /reaped.* worker=1/),
      "QUIT" => ServerSignal.new("QUIT", :stop, workers: 2),
      "TERM" => ServerSignal.new("TERM", :stop, loses: :responses, workers: 2)
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
    hijack: true,
    tunnel: true,
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
