# frozen_string_literal: true

require_relative "server/generic"
require_relative "server/falcon"
require_relative "server/passenger"
require_relative "server/pitchfork"
require_relative "server/puma"
require_relative "server/thin"
require_relative "server/unicorn"
require_relative "server/webrick"

module Rack
  module StreamingProxy
    # What differs by application server. The rest of the code does not know servers.
    # @api private
    module Server
      # In the order in which they are asked whether a request is theirs.
      KINDS = [Puma, Unicorn, Pitchfork, Passenger, Falcon, Thin, WEBrick, Generic].freeze
      private_constant :KINDS

      # @param env [Hash] of the request
      # @return [Generic] the adaptation for the server that gave this env
      def self.for(env) = kind(env).new(env)

      # @param env [Hash] of a request, which may not be ours to pass on
      # @return [Boolean] whether REQUEST_URI is the server's work, not what the client wrote
      def self.rewrites_target?(env) = kind(env).rewrites_target?

      def self.kind(env) = KINDS.find { |kind| kind.serves?(env) }
      private_class_method :kind
    end
  end
end
