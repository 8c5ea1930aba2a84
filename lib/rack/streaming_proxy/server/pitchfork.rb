# frozen_string_literal: true

module Rack
  module StreamingProxy
    module Server
      # Pitchfork ends a worker whose request takes longer than its `timeout` (20 s), streams too,
      # unless the request asks for more time before it runs out (Pitchfork::HttpServer's
      # TimeoutHandler). How long a stream may be silent is for `idle_timeout` to say.
      # @api private
      class Pitchfork < Generic
        # Seconds that are kept in hand, and after which to look at them again.
        AHEAD = 10
        LOOK = 3
        private_constant :AHEAD, :LOOK

        # @param env [Hash]
        # @return [Boolean] whether this server gave it
        def self.serves?(env) = env.key?("pitchfork.timeout")

        # Pitchfork takes whole seconds.
        #
        # @return [Integer] seconds
        def patience
          timeout = @env["pitchfork.timeout"]
          left = timeout.deadline - Process.clock_gettime(Process::CLOCK_MONOTONIC)
          timeout.extend_deadline(AHEAD) if left < AHEAD
          LOOK
        end
      end
    end
  end
end
