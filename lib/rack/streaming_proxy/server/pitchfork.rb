# frozen_string_literal: true

require_relative "unicorn_parser"

module Rack
  module StreamingProxy
    module Server
      # Pitchfork ends a worker whose request takes longer than its `timeout` (20 s), streams too,
      # unless the request asks for more time before it runs out (Pitchfork::HttpServer's
      # TimeoutHandler). How long a stream may be silent is for `idle_timeout` to say.
      # @api private
      class Pitchfork < Generic
        include UnicornParser

        # Seconds that are kept in hand, and after which they are checked again.
        MARGIN = 10
        POLL_INTERVAL = 3
        private_constant :MARGIN, :POLL_INTERVAL

        # @param env [Hash]
        # @return [Boolean] whether this server gave it
        def self.serves?(env) = env.key?("pitchfork.timeout")

        # Pitchfork takes whole seconds.
        #
        # @return [Integer] seconds
        def poll_interval
          timeout = @env["pitchfork.timeout"]
          left = timeout.deadline - Process.clock_gettime(Process::CLOCK_MONOTONIC)
          timeout.extend_deadline(MARGIN) if left < MARGIN
          POLL_INTERVAL
        end
      end
    end
  end
end
