# frozen_string_literal: true

require "rack"
require "socket"
require "uri"

require_relative "streaming_proxy/version"
require_relative "streaming_proxy/errors"
require_relative "streaming_proxy/exchange_failure"
require_relative "streaming_proxy/native"
require_relative "streaming_proxy/setting_checks"
require_relative "streaming_proxy/settings"
require_relative "streaming_proxy/configuration"
require_relative "streaming_proxy/target"
require_relative "streaming_proxy/log"
require_relative "streaming_proxy/server"
require_relative "streaming_proxy/request"
require_relative "streaming_proxy/session"
require_relative "streaming_proxy/response"
require_relative "streaming_proxy/proxy"
require_relative "streaming_proxy/railtie" if defined?(Rails::Railtie)

module Rack
  # A streaming reverse proxy inside a Rack application: {Proxy} is the middleware.
  module StreamingProxy
    # What this process holds at this moment and has moved so far.
    #
    # @return [Hash{Symbol => Integer}] `exchanges` (open requests), `connections` (to upstreams,
    #   idle ones included), `idle_connections`, `bytes_up` and `bytes_down` (body bytes), `tasks`
    #   (live tasks of the engine). All zero before the first request.
    def self.stats
      Native::Client.stats
    end
  end
end
