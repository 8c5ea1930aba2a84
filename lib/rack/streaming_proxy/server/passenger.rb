# frozen_string_literal: true

require_relative "chunked_input"

module Rack
  module StreamingProxy
    module Server
      # Passenger gives an upload in chunks as it came, framing and all, and calls every client one
      # of HTTP/1.1. A response with trailers would be cut short by it: none are sent.
      # @api private
      class Passenger < Generic
        # @param env [Hash]
        # @return [Boolean] whether this server gave it
        def self.serves?(env) = env["SERVER_SOFTWARE"].to_s.start_with?("Phusion_Passenger")

        # Behind nginx or Apache, which may have taken the framing off, there is a length.
        #
        # @return [#read, nil]
        def input
          source = super
          coded = @env.key?("HTTP_TRANSFER_ENCODING") && !@env.key?("CONTENT_LENGTH")
          coded && source ? ChunkedInput.new(source) : source
        end

        # Reading blocks until there is all that was asked for: in small pieces more goes up early.
        def input_size(_input) = 16 * 1024

        # Between Passenger's core and this process: the core ends it when the client leaves. Behind
        # an upload it ends its direction of it anyway, and tells nothing.
        #
        # @return [IO, nil]
        def client_socket
          return if @env.key?("HTTP_TRANSFER_ENCODING") || @env.key?("CONTENT_LENGTH")

          scope = hijack_of_server.binding
          scope.local_variable_get(:connection).to_io if scope.local_variable_defined?(:connection)
        rescue ArgumentError, NoMethodError
          nil # A middleware has put something else there.
        end

        # The core reads what is written, and frames it anew. Behind an upload the end of its
        # direction would be taken for the client's leaving.
        #
        # @return [Boolean]
        def partial_hijack? = super && !client_socket.nil? && !linted?

        # @param io [#to_io]
        # @return [IO]
        def hijacked_socket(io) = super.to_io

        # @param error [Exception]
        # @return [Boolean]
        def client_gone?(error) = connection_ended?(error)

        private

        # Rack 3's Rack::Lint refuses what Passenger has its socket in, for it is no IO.
        def linted? = RackHeaders::RACK3 && !hijack_of_server.equal?(@env["rack.hijack"])
      end
    end
  end
end
