# frozen_string_literal: true

require_relative "server/generic"
require_relative "server/puma"
require_relative "server/unicorn"
require_relative "server/webrick"

module Rack
  module StreamingProxy
    # What differs by application server. The rest of the code does not know servers.
    # @api private
    module Server
      # @param env [Hash] of the request
      # @return [Generic] the adaptation for the server that gave this env
      def self.for(env)
        return Puma.new(env) if env.key?("puma.socket")
        return Unicorn.new(env) if env.key?("unicorn.socket")

        Generic.new(env)
      end

      # @param env [Hash] of a request, which may not be ours to pass on
      # @return [Boolean] whether REQUEST_URI is the server's work, not what the client wrote
      def self.rewrites_target?(env) = WEBrick.serves?(env)
    end
  end
end
