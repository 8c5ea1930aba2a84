# frozen_string_literal: true

module Rack
  module StreamingProxy
    module Server
      # WEBrick makes every request target absolute, and believes X-Forwarded-Host for it: its
      # REQUEST_URI does not tell what the client wrote.
      # @api private
      module WEBrick
        # @param env [Hash]
        # @return [Boolean] whether this server gave the env
        def self.serves?(env) = env["SERVER_SOFTWARE"].to_s.start_with?("WEBrick")
      end
    end
  end
end
