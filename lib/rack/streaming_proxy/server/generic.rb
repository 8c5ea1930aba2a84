# frozen_string_literal: true

module Rack
  module StreamingProxy
    module Server
      # A server of which nothing is known: the body is yielded, the server frames it, the client's
      # socket is out of reach.
      # @api private
      class Generic
        # @param _env [Hash]
        # @return [Boolean] whether this server gave it
        def self.serves?(_env) = true

        # Upon which Rack::ConditionalGet makes a 304.
        CONDITIONS = %w[HTTP_IF_NONE_MATCH HTTP_IF_MODIFIED_SINCE].freeze
        # An address of AF_UNSPEC.
        NOWHERE = [::Socket::AF_UNSPEC].pack("S").ljust(16, "\0").freeze
        private_constant :CONDITIONS, :NOWHERE

        # @return [Boolean] whether REQUEST_URI is the server's work, not what the client wrote
        def self.rewrites_target? = false

        # @param env [Hash]
        def initialize(env)
          @env = env
          @http10 = http_version == "1.0"
        end

        # @return [String] of the client's request, such as `"1.1"`
        def http_version
          @env["SERVER_PROTOCOL"].to_s[%r{\AHTTP/(\d(?:\.\d)?)\z}, 1] || "1.1"
        end

        # @return [String, nil] what of the request RFC 9112 refuses, and this server has not
        def fault = nil

        # @return [String] the scheme of the client's connection, whatever its headers say
        def scheme = @env["rack.url_scheme"]

        # @return [#read, nil] the request's body, without framing
        def input = @env["rack.input"]

        # @return [Boolean] whether a middleware outside may put a 304 in the response's place
        def conditional? = CONDITIONS.any? { |condition| @env.key?(condition) }

        # @return [IO, nil] the client's socket, or another whose end tells of its leaving
        # @raise [IOError] when it has been closed: its client has left
        def client_socket = nil

        # @return [#call, nil] what tells the client of a 103; HTTP/1.0 has none (RFC 9110 15.2)
        def early_hints
          @env["rack.early_hints"] unless @http10
        end

        # @return [String, nil] the protocols that the client wants to change to (RFC 9110 7.8)
        def upgrade
          options = @env["HTTP_CONNECTION"].to_s.b.split(",")
          @env["HTTP_UPGRADE"] if options.any? { |option| option.strip.casecmp?("upgrade") }
        end

        # @return [Boolean] whether the client waits to be asked for its body, and can be
        def expects_continue? = false

        # Asks the client for its body.
        def continue; end

        # A body of which neither Content-Length nor Transfer-Encoding tells.
        #
        # @return [Symbol, nil] `:chunked` if there is one, nil if there is none, `:maybe` if its
        #   bytes have to tell, because the server has taken the coding off
        def undeclared_body = :maybe

        # @param _error [Exception] raised by reading the request's body
        # @return [Boolean] whether it means that the client has left
        def client_gone?(_error) = false

        # Never blocks.
        #
        # @return [Integer, nil] bytes to ask of `rack.input`; nil if reading it would block, and
        #   {#client_socket} tells when it does no more
        def input_size(_input) = 64 * 1024

        # Called before each poll for something to read, for as long as the request takes.
        #
        # @return [Integer, nil] seconds after which to poll again at the latest
        def poll_interval = nil

        # Called when the head is known and before it is given to the server.
        #
        # @param length [Integer, nil] the body's length, if known
        def prepare(length); end

        # @param _length [Integer, nil] the body's length, if known
        # @return [Boolean] whether the body must be sent in chunks that we frame ourselves
        def frames?(_length) = false

        # @return [Boolean] whether the server may leave a body without a close: then its client is
        #   watched from the head on, not only while nothing comes
        def may_skip_close? = false

        # Sends what the server has been given and may be holding back. Called before each wait.
        def flush; end

        # @return [Boolean] whether a `rack.hijack` among a response's headers is given the client's
        #   socket, behind the head
        def partial_hijack? = !!@env["rack.hijack?"]

        # @return [Boolean] whether {#hijack} will do
        def full_hijack? = partial_hijack? && @env["rack.hijack"].respond_to?(:call)

        # @return [String] why neither can be
        def unhijackable = "#{self.class.name[/\w+\z/]} hands no client's socket over"

        # Called when the response is to be offered with a `rack.hijack`: what middleware outside
        # would make of the body is not sent.
        def prepare_partial_hijack = decline_encoding

        # @param io [Object] what the server, or Rack::Lint, gives the `rack.hijack` of a response
        # @return [Object] the client's socket; the engine can have it if it is a BasicSocket
        def hijacked_socket(io) = unwrapped(io)

        # Takes the client's connection from the server, which then writes nothing.
        #
        # @return [Array(IO, String)] the socket, and what has come behind the request
        def hijack
          socket = @env["rack.hijack"].call
          @env["rack.hijack_io"] ||= socket
          [hijacked_socket(socket), hijacked_bytes]
        end

        # Has the socket out of the server's reach, for the time that it waits for its answer: what
        # is raised outside meanwhile the server would answer with an error page, on this socket.
        #
        # @param socket [IO] that {#hijack} has given
        # @return [IO] the same connection
        def detach(socket)
          return socket unless socket.is_a?(::BasicSocket)

          socket.dup.tap { socket.close }
        rescue SystemCallError, IOError
          socket # No descriptor is left; or it is closed.
        end

        # Ends a connection that has been handed over. A forked child may have it, too, and then
        # closing alone ends nothing.
        #
        # @param socket [#close]
        # @param cut [Boolean] whether the client is to see that something is missing
        def release(socket, cut:)
          if cut && socket.respond_to?(:to_io)
            reset(socket.to_io)
            socket.to_io.close # TLS would say first that it ends well.
          end
          socket.shutdown if socket.is_a?(::BasicSocket)
        rescue SystemCallError, IOError
          nil # It has ended already.
        ensure
          close(socket)
        end

        # Has a connection reset by its last close, for which a process that is killed does, too,
        # where a FIN would look like the end of the body; or no more.
        #
        # @param socket [Object]
        # @param reset [Boolean]
        def reset_on_close(socket, reset: true)
          socket = socket.to_io if socket.respond_to?(:to_io)
          return unless socket.is_a?(::BasicSocket) && !socket.local_address.unix?

          socket.setsockopt(::Socket::Option.linger(reset, 0))
        rescue SystemCallError, IOError
          nil # It is closed already: nothing can look whole.
        end

        # @param answer [Array(Integer, Hash, #each)]
        # @param _input [Input] the request's body, of which some may not have been read
        # @return [Array(Integer, Hash, #each)] the answer as this server is to get it
        def finish(answer, _input) = answer

        # Has the server close the client's connection after the answer: where the request ends is
        # not known, and what follows is no request to believe (RFC 9112 section 6.3).
        def close_connection; end

        # Makes a truncation visible that the exception in `each` alone would not show.
        #
        # @param _length [Integer, nil] the body's length, if known
        def abort_response(_length); end

        private

        # What the server has read behind the request and not used: where it has that is known of
        # none but the servers that have a class here.
        def hijacked_bytes = ""

        # @return [#call, nil] the server's own `rack.hijack`, within what Rack::Lint puts around it
        def hijack_of_server
          hijack = @env["rack.hijack"]
          hijack = hijack.binding.local_variable_get(:original_hijack) while
            hijack.is_a?(::Proc) && hijack.binding.local_variable_defined?(:original_hijack)
          hijack
        rescue ArgumentError
          hijack # A proc of C has no binding.
        end

        # Rack::Deflater outside asks for it behind the application, and then leaves the body alone.
        def decline_encoding = @env.delete("HTTP_ACCEPT_ENCODING")

        # Rack::Lint, which servers add in development, has what it wraps in one of these.
        def unwrapped(object)
          while object.class.name.to_s.start_with?("Rack::Lint")
            wrapped = %i[@input @io @stream] & object.instance_variables
            object = object.instance_variable_get(wrapped.first)
          end
          object
        end

        # HTTP/1.0 has no 100 (RFC 9110 section 10.1.1).
        def continue_expected?
          !@http10 && !!@env["HTTP_EXPECT"]&.casecmp?("100-continue")
        end

        # For servers whose input is read from the client's socket, or raises what that did.
        def connection_ended?(error)
          [EOFError, Errno::ECONNRESET, Errno::EPIPE].any? { |gone| error.is_a?(gone) }
        end

        # For servers that speak HTTP/1 only (RFC 9112 sections 2.3 and 3.2).
        def http1_fault(version)
          return "version is not HTTP/1" unless version.start_with?("1.")

          "Host is missing" unless @http10 || @env.key?("HTTP_HOST")
        end

        # A connect(2) to no address dissolves a connection of TCP, whoever else has it. Where that
        # cannot be, its last close resets it.
        def reset(socket)
          reset_on_close(socket)
          same = ::Socket.for_fd(socket.fileno)
          same.autoclose = false
          same.connect(NOWHERE)
        rescue SystemCallError
          nil # A Unix socket, or another system.
        end

        def close(socket)
          socket.close
        rescue SystemCallError, IOError
          nil # It is closed.
        end
      end
    end
  end
end
