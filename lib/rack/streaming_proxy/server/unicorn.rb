# frozen_string_literal: true

module Rack
  module StreamingProxy
    module Server
      # Unicorn 6.0 ends a body of unknown length by closing, and 6.1 ends its chunks even when the
      # body raised: truncation is invisible unless we frame the body ourselves. Its input blocks.
      # @api private
      class Unicorn < Generic
        # @return [IO] the client's socket
        def client_socket = @env["unicorn.socket"]

        # With a Content-Length, `read(n)` blocks until there are n bytes: ask for little.
        def input_size = 16 * 1024

        # @return [Boolean]
        def input_blocks? = true

        # Waits for the socket and the bell together, so that an early answer is noticed while the
        # client is slow. What the parser has buffered is not on the socket any more.
        def input_ready?(input, bell)
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

        private

        # The bytes that came with the head wait in @rbuf, which has no reader, and the end of a
        # chunked body may be known already. An input that is wrapped or has another shape counts
        # as one that need not be waited for.
        def drained?(input)
          buffer, parser = %i[@rbuf @parser].map { |name| input.instance_variable_get(name) }
          buffer.respond_to?(:empty?) && buffer.empty? &&
            parser.respond_to?(:body_eof?) && !parser.body_eof?
        end
      end
    end
  end
end
