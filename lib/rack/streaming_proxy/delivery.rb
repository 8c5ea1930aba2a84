# frozen_string_literal: true

require_relative "reporters"

module Rack
  module StreamingProxy
    # Has the engine write a response to the client's socket, where settings ask for it and the
    # server can: the application's thread is free when the head is out.
    # @api private
    module Delivery
      # @param answer [Array(Integer, Hash, #each)]
      # @param server [Server::Generic]
      # @param length [Integer, nil] bytes of the body, if known
      # @param http10 [Boolean] whether the client knows no chunks
      # @return [Array(Integer, Hash, #each)] with a `rack.hijack` that hands the socket over
      def self.partial(answer, server, length)
        status, headers, body = answer
        framing = framing(server, length)
        headers[RackHeaders.spelled("connection")] = "close"
        headers[RackHeaders.spelled("transfer-encoding")] = "chunked" if framing == :chunks
        headers["rack.hijack"] = lambda do |io|
          body.deliver(server.hijacked_socket, "", framing)
          io.close
        end
        [status, headers, body]
      end

      def self.framing(server, length)
        return :length if length

        server.http_version == "1.0" ? :end : :chunks
      end
      private_class_method :framing
    end
  end
end
