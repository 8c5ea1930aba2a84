# frozen_string_literal: true

require_relative "rack_headers"

module Rack
  module StreamingProxy
    # How a client is told where a body ends (RFC 9112 sections 6.3 and 7.1), where that is ours to
    # do, and not the server's.
    # @api private
    module Framing
      LAST_CHUNK = "0\r\n\r\n"

      # @param length [Object, nil] the body's, if it is known
      # @param server [Server::Generic] of the client, whose version of HTTP it depends on
      # @return [Symbol] `:length`, `:chunks` or, with the connection's end, `:end`
      def self.of(length, server)
        return :length if length

        server.http_version == "1.0" ? :end : :chunks
      end

      # @param framing [Symbol]
      # @return [Hash] the header that goes with it, in this Rack's spelling
      def self.coding(framing)
        framing == :chunks ? { RackHeaders.spelled("transfer-encoding") => "chunked" } : {}
      end

      # @param framing [Symbol]
      # @return [Hash] the same for a response behind which the connection ends
      def self.last(framing)
        { RackHeaders.spelled("connection") => "close", **coding(framing) }
      end

      # @param data [String] not empty
      # @return [String] binary
      def self.chunk(data)
        "#{data.bytesize.to_s(16)}\r\n".b << data << "\r\n"
      end
    end
  end
end
