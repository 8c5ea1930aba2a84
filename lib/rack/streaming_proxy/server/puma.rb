# frozen_string_literal: true

module Rack
  module StreamingProxy
    module Server
      # Puma 5 to 8 holds TCP_CORK from the headers to the end of the body, so that each small chunk
      # comes up to 200 ms late; from 6 on it keeps the head of a body of unknown length until the
      # first byte of that; leaves an HTTP/1.0 keep-alive connection open after such a body; and may
      # run more I/O-bound requests than it has threads (Puma 8).
      # @api private
      class Puma < Generic
        # <netinet/tcp.h> of Linux, the only system on which Puma corks.
        TCP_CORK = 3
        private_constant :TCP_CORK

        # @param env [Hash]
        # @return [Boolean] whether this server gave it
        def self.serves?(env) = env.key?("puma.socket")

        # @param env [Hash]
        def initialize(env)
          super
          env["puma.mark_as_io_bound"]&.call
        end

        # Puma itself takes what is not HTTP/1.1 for 1.0.
        def http_version
          version == "HTTP/1.1" ? "1.1" : "1.0"
        end

        # @return [String, nil]
        def fault = http1_fault(version.delete_prefix("HTTP/"))

        # Puma writes an Array as Ruby prints it, and Rack::Lint refuses Rack 2's line feeds: the
        # lines of a name become one (RFC 9110 section 5.3).
        #
        # @return [#call, nil]
        def early_hints
          told = super or return
          ->(headers) { told.call(headers.transform_values { |lines| [*lines].join(", ") }) }
        end

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
          close_connection if @http10 && length.nil?
        end

        # Puma leaves the body of a coding that it does not know for the next request.
        def close_connection
          @env["HTTP_CONNECTION"] = "close"
        end

        # TCP_NODELAY flushes what TCP_CORK holds back and leaves the cork in: bulk stays in full
        # segments. Unix sockets are not corked.
        def flush
          write_head
          return unless corked?

          client_socket.setsockopt(::Socket::IPPROTO_TCP, ::Socket::TCP_NODELAY, 1)
        rescue SystemCallError, IOError
          @corked = false # The client has gone; the next write tells.
        end

        # Under TLS the socket is not the engine's to write to.
        #
        # @return [Boolean]
        def partial_hijack? = super && scheme == "http"

        # @return [String]
        def unhijackable = scheme == "https" ? "Puma encrypts what the client gets" : super

        # Puma 5 calls the hijack with the cork in.
        #
        # @param _io [Object]
        # @return [IO]
        def hijacked_socket(_io)
          client_socket.setsockopt(::Socket::IPPROTO_TCP, TCP_CORK, 0) if corked?
          client_socket
        rescue SystemCallError, IOError
          client_socket # The client has gone, as whoever writes will hear.
        end

        # @param length [Integer, nil]
        def abort_response(length)
          reset_on_close(client_socket) if @http10 && length.nil?
        end

        private

        # Of a request without a body, Puma keeps what follows for the next one; behind
        # `Content-Length: 0` Puma 5 takes it for the body.
        def hijacked_bytes
          kept = client.instance_variable_get(:@buffer)
          body = unwrapped(input)
          kept ||= body.string if body.is_a?(::StringIO) && @env["CONTENT_LENGTH"].to_i.zero?
          kept.to_s.b
        end

        # Puma 5 has it in HTTP_VERSION, where a client's header "Version" may join it, for its
        # SERVER_PROTOCOL is always HTTP/1.1; in Puma 8 HTTP_VERSION is that header alone.
        def version
          known = @env["HTTP_VERSION"] if @env["SERVER_SOFTWARE"].to_s.start_with?("puma 5.")
          (known || @env["SERVER_PROTOCOL"]).to_s
        end

        # What Puma would write with the body's first byte (Puma::Request or, in 8, Puma::Response,
        # #fast_write_response) is written now; what does not fit stays for Puma to write.
        def write_head
          head = pending&.read_and_reset.to_s
          return if head.empty?

          written = @env["puma.socket"].write_nonblock(head, exception: false)
          pending << head.byteslice((written == :wait_writable ? 0 : written)..)
        end

        # @return [Puma::IOBuffer, nil] nil where it is out of reach: the head then waits
        def pending
          return @pending if defined?(@pending)

          @pending = client.respond_to?(:io_buffer) ? client.io_buffer : nil
        end

        # @return [Object] the Puma::Client: up to Puma 7 it is `rack.hijack`, in 8 that is one of
        #   its methods; anything else where a middleware has put its own there
        def client
          hijack = hijack_of_server
          hijack.is_a?(::Proc) ? hijack.binding.receiver : hijack
        rescue ArgumentError
          nil # A proc of C has no binding.
        end

        def corked?
          return @corked if defined?(@corked)

          @corked = client_socket.is_a?(::TCPSocket)
        end
      end
    end
  end
end
