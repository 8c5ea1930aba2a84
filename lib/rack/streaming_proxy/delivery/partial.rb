# frozen_string_literal: true

module Rack
  module StreamingProxy
    class Delivery
      # A response whose head the server writes, and whose `rack.hijack` then hands the client's
      # socket to the engine. A middleware outside that takes the body for itself, as Rack 2's
      # Rack::ETag does, gets the ordinary response: no hijack is offered any more. If the server
      # has a hijack all the same, from a copy of the headers, or middleware has changed what they
      # say of the body, the connection is reset: what the client would get is not what it was told.
      # @api private
      class Partial
        HIJACK = "rack.hijack"
        # What tells of the body's bytes.
        TELLING = %w[content-encoding content-length transfer-encoding].freeze
        REFUSED = "delivery: middleware outside the proxy has changed a response after it was " \
                  "offered with a hijack, and its connection is reset. Put the middleware inside " \
                  "the proxy, or use delivery: :body for these responses"
        private_constant :HIJACK, :TELLING, :REFUSED

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
          added = { **Framing.last(@framing), HIJACK => method(:hand_over) }
          @added = added.except(*@headers.keys)
          @headers.merge!(@added)
          @told = telling
          [@status, @headers, self]
        end

        # @yieldparam chunk [String]
        # @raise [BodyError]
        def each(&block)
          @taken = true
          @added.each_key { |name| @headers.delete(name) }
          @body.each(&block)
        end

        # After the hijack the body is the engine's to close.
        def close
          @taken = true
          @body.close
        end

        private

        def telling = TELLING.map { |name| @headers[RackHeaders.spelled(name)] }

        # @param io [#write, #close] what the server has the client's socket in
        def hand_over(io)
          client = HijackedClient.new(@server.hijacked_socket(io), @server, @settings)
          refused = @taken || telling != @told
          whole = refused ? @body.refuse(REFUSED) : deliver(client)
        ensure
          # Unicorn would shut down a socket that it finds open.
          cut = refused || (!whole && @framing == :end)
          client ? client.close(cut:) : @server.release(io, cut:)
        end

        def deliver(client) = RawResponse.deliver(@body, client, "", @framing)
      end
    end
  end
end
