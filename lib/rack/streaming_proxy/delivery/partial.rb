# frozen_string_literal: true

module Rack
  module StreamingProxy
    class Delivery
      # A response whose head the server writes, and whose `rack.hijack` then hands the client's
      # socket to the engine. A middleware outside that takes the body for itself, as Rack 2's
      # Rack::ETag does, gets the ordinary response: no hijack is offered any more.
      # @api private
      class Partial
        HIJACK = "rack.hijack"
        private_constant :HIJACK

        # @param answer [Array(Integer, Hash, Body)]
        # @param framing [Symbol] `:length`, `:chunks` or `:end`
        # @param server [Server::Generic]
        # @param settings [Configuration]
        def initialize(answer, framing, server, settings)
          @status, @headers, @body = answer
          @framing = framing
          @server = server
          @settings = settings
        end

        # @return [Array(Integer, Hash, #each)]
        def answer
          coding = RackHeaders.spelled("transfer-encoding")
          @added = { RackHeaders.spelled("connection") => "close", HIJACK => method(:hand_over) }
          @added[coding] = "chunked" if @framing == :chunks && !@headers.key?(coding)
          @headers.merge!(@added)
          [@status, @headers, self]
        end

        # @yieldparam chunk [String]
        # @raise [BodyError]
        def each(&block)
          @added.each_key { |name| @headers.delete(name) }
          @body.each(&block)
        end

        # After the hijack the body is the engine's to close.
        def close = @body.close

        private

        # @param io [#write, #close] what the server has the client's socket in
        def hand_over(io)
          socket = @server.hijacked_socket(io)
          RawResponse.deliver(@body, socket, "", @framing, @settings)
        ensure
          # Unicorn would shut down a socket that it finds open.
          io.close
        end
      end
    end
  end
end
