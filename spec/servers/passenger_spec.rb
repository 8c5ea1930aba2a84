# frozen_string_literal: true

require_relative "behaviour"

RSpec.describe "Passenger" do
  profile = ServerProfile.declare(
    :passenger, "Passenger",
    live: true,
    head: true,
    truncation: true,
    http10: true,
    live_uploads: true,
    chunked_uploads: true,
    several_values: true,
    client_gone: true,
    shutdown: true,
    restart: true,
    deflater: true
  )

  include_examples "a Rack server", profile
end
