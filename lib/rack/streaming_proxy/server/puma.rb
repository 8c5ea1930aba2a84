# frozen_string_literal: true

module Rack
  module StreamingProxy
    module Server
      # Puma 5 to 8 holds TCP_CORK from the headers to the end of the body, so that each small chunk
      # comes up to 200 ms late; leaves an HTTP/1.0 keep-alive connection open after a body of
      # unknown length; and may run more I/O-bound requests than it has threads (Puma 8).
      # @api private
      class Puma < Generic
        # @param env [Hash]
        def initialize(env)
          super
          env["puma.mark_as_io_bound"]&.call
        end

        # Puma 5 puts it into HTTP_VERSION, where a client's header "Version" may join it; its
        # SERVER_PROTOCOL is always HTTP/1.1. Puma itself takes what is not HTTP/1.1 for 1.0.
        def http_version
          version == "HTTP/1.1" ? "1.1" : "1.0"
        end

        # @return [String, nil]
        def fault = http1_fault(version.delete_prefix("HTTP/"))

        # @return [String] Puma's rack.url_scheme believes X-Forwarded-Proto
        def scheme
          @env["puma.socket"].is_a?(::IO) ? "http" : "https"
        end

        # @return [IO, nil] the client's socket, under TLS too
        def client_socket
          @client_socket ||= @env["puma.socket"].to_io
        end

        # Such a body ends with the connection, or the client would wait for ever.
        def prepare(length)
          hang_up if @http10 && length.nil?
        end

        # Puma leaves the body of a coding that it does not know for the next request.
        def hang_up
          @env["HTTP_CONNECTION"] = "close"
        end

        # TCP_NODELAY pushes what TCP_CORK holds back and leaves the cork in: bulk stays in full
        # segments. Unix sockets are not corked.
        def push
          return unless corked?

          client_socket.setsockopt(::Socket::IPPROTO_TCP, ::Socket::TCP_NODELAY, 1)
        rescue SystemCallError, IOError
          @corked = false # The client has gone; the next write tells.
        end

        # @param length [Integer, nil]
        def cut(length)
          reset_on_close(client_socket) if @http10 && length.nil?
        end

        private

        def version = (@env["HTTP_VERSION"] || @env["SERVER_PROTOCOL"]).to_s

        def corked?
          return @corked if defined?(@corked)

          @corked = client_socket.is_a?(::TCPSocket)
        end
      end
    end
  end
end
