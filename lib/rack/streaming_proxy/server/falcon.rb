# frozen_string_literal: true

module Rack
  module StreamingProxy
    module Server
      # Falcon (async-http and protocol-rack) frames by itself, refuses connection-specific headers
      # in a log line each, and runs each request in a fiber. It tells of no client that leaves
      # while nothing is written to it, and ends an HTTP/1.0 body that was cut short with a FIN.
      # It asks no client for its upload, nor tells of early hints, but can.
      # @api private
      class Falcon < Generic
        # @param env [Hash]
        # @return [Boolean] whether this server gave it
        def self.serves?(env) = env.key?("protocol.http.request")

        # An input that cannot be rewound leaves nothing to send.
        #
        # @return [String, nil]
        def fault
          return "upgrade has a body, whose end Falcon does not tell" if upgrades_with_body?

          read = undeclared_body && !@env["CONTENT_LENGTH"] && unwrapped(input).closed?
          "body has been read before" if read && !@env["rack.request.form_vars"]
        end

        # Falcon takes all that follows an Upgrade for a body.
        #
        # @return [Symbol, nil]
        def undeclared_body
          :chunked if request.body && !request.protocol
        end

        # @return [Boolean]
        def expects_continue? = continue_expected?

        # Asks the client for its body.
        def continue
          request.write_interim_response(100, {})
        end

        # @return [#call, nil]
        def early_hints
          method(:hint) unless @http10
        end

        # @return [IO, nil] the client's socket, under TLS too; HTTP/2 shares it between requests
        def client_socket = stream&.to_io

        # What a hijack has written Falcon ends well, whether it is whole or not.
        #
        # @return [Boolean]
        def partial_hijack? = false

        # Neither a connection of HTTP/2 nor one under TLS is the engine's to write to.
        #
        # @return [Boolean]
        def full_hijack?
          @env["rack.hijack"].respond_to?(:call) && stream&.io.is_a?(::BasicSocket)
        end

        # What is here is looked for on the socket, so that an early answer is noticed while the
        # client is slow. Over HTTP/2 it is noticed when the client's next piece is here.
        def input_size(input)
          return super unless stream && drained?(stream) && unread?(unwrapped(input))

          super if readable?(client_socket)
        end

        # Falcon waits for a body of which some has been read, unless it is closed.
        def finish(answer, input)
          return answer if input.kind.nil? || !input.source.respond_to?(:close)

          status, headers, body = answer
          [status, headers, Rack::BodyProxy.new(body) { input.source.close }]
        end

        # Falcon forgets its stream with the hijack.
        def hijack
          @hijacked = stream
          super
        end

        # @param length [Integer, nil]
        def abort_response(length)
          reset_on_close(client_socket) if @http10 && length.nil? && stream
        end

        private

        def request = @env["protocol.http.request"]

        def upgrades_with_body?
          request.protocol && (@env.key?("HTTP_TRANSFER_ENCODING") ||
                               @env["HTTP_CONTENT_LENGTH"].to_i.positive?)
        end

        def hijacked_bytes = @hijacked.instance_variable_get(:@read_buffer).to_s.b

        def hint(headers)
          joined = headers.transform_values { |values| Array(values).join(", ") }
          request.write_interim_response(103, joined)
        end

        def stream
          return if http_version.start_with?("2")

          stream = request.connection&.stream
          stream if stream.respond_to?(:to_io)
        end

        # Asked of the system: a scheduler may give up a wait of no time before it has looked.
        def readable?(socket)
          socket.recv_nonblock(1, ::Socket::MSG_PEEK, exception: false) != :wait_readable
        end

        def unread?(input) = drained?(input) && !input.closed?

        # What has been read ahead waits in @read_buffer, which has no reader; a line end is what a
        # chunk has behind it.
        def drained?(readable)
          ["", "\r\n"].include?(readable.instance_variable_get(:@read_buffer))
        end
      end
    end
  end
end
