# frozen_string_literal: true

module Rack
  module StreamingProxy
    module Server
      # Unicorn 6.0 ends a body of unknown length by closing, and 6.1 ends its chunks even when the
      # body raised: truncation is invisible unless we frame the body ourselves. Its input comes
      # from the client's socket as it is read, which blocks; a client that expects 100 Continue is
      # to be told by whoever reads first; closing on unread input resets the connection.
      # @api private
      class Unicorn < Generic
        CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n"
        # Seconds for which the rest of an upload is read after an early answer.
        LINGER = 1
        private_constant :CONTINUE, :LINGER

        # @return [IO] the client's socket
        def client_socket = @env["unicorn.socket"]

        # With a Content-Length, `read(n)` blocks until there are n bytes: ask for little.
        def input_size = 16 * 1024

        # @return [Boolean]
        def input_blocks? = true

        # Waits for the socket and the bell together, so that an early answer is noticed while the
        # client is slow. What the parser has buffered is not on the socket any more.
        def input_ready?(input, bell)
          continue
          return true unless drained?(input)

          ready, = IO.select([bell, client_socket])
          ready.include?(client_socket)
        end

        # @param length [Integer, nil]
        def frames?(length)
          length.nil? && !@http10
        end

        # @param length [Integer, nil]
        def cut(length)
          reset_on_close(client_socket) if @http10 && length.nil?
        end

        # A client that is still sending would lose an early answer to the reset.
        def finish(answer, input)
          return answer if input.kind.nil?

          status, headers, body = answer
          [status, headers, Rack::BodyProxy.new(body) { linger(input) }]
        end

        private

        def continue
          return if @continued || @http10 || !@env["HTTP_EXPECT"]&.casecmp?("100-continue")

          @continued = true
          client_socket.write(CONTINUE)
        end

        # The bytes that came with the head wait in @rbuf, which has no reader, and the end of a
        # chunked body may be known already. An input that is wrapped or has another shape counts
        # as one that need not be waited for.
        def drained?(input)
          buffer, parser = %i[@rbuf @parser].map { |name| input.instance_variable_get(name) }
          buffer.respond_to?(:empty?) && buffer.empty? &&
            parser.respond_to?(:body_eof?) && !parser.body_eof?
        end

        def linger(input)
          return if @env["HTTP_EXPECT"] && !@continued

          deadline = now + LINGER
          input.read until input.ended? || !more?(input.source, deadline - now)
        rescue SystemCallError, IOError
          nil # The client has gone: nobody is left to lose anything.
        end

        def more?(input, seconds)
          seconds.positive? && (!drained?(input) || client_socket.wait_readable(seconds))
        end

        def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      end
    end
  end
end
