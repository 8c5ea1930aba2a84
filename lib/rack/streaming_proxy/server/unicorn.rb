# frozen_string_literal: true

require_relative "unicorn_parser"

module Rack
  module StreamingProxy
    module Server
      # Unicorn 6.0 ends a body of unknown length by closing, and 6.1 ends its chunks even when the
      # body raised: truncation is invisible unless we frame the body ourselves. Its input comes
      # from the client's socket as it is read, which blocks; a client that expects 100 Continue is
      # to be told by whoever reads; closing on unread input resets the connection.
      # @api private
      class Unicorn < Generic
        include UnicornParser

        CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n"
        # Seconds for which the rest of an upload is read after an early answer.
        LINGER = 1
        # Bytes to read at once.
        MAX_READ = 16 * 1024
        private_constant :CONTINUE, :LINGER, :MAX_READ

        # @param env [Hash]
        # @return [Boolean] whether this server gave it
        def self.serves?(env) = env.key?("unicorn.socket")

        # @return [String] Unicorn speaks no TLS; its rack.url_scheme believes X-Forwarded-Proto
        def scheme = "http"

        # Lengths and codings on folded lines come into the env, but Unicorn reads no body by them.
        #
        # @return [String, nil]
        def fault
          http1_fault(http_version) || ("length or coding is on a folded line" if body_missed?)
        end

        # @return [IO] the client's socket
        def client_socket = @env["unicorn.socket"]

        # @param error [Exception]
        # @return [Boolean]
        def client_gone?(error) = connection_ended?(error)

        # With a Content-Length, `read(n)` blocks until there are n bytes: what is here is asked
        # for, in the parser's buffer or else on the socket. So an early answer is noticed while the
        # client is slow.
        def input_size(input)
          size = size_here(input)
          @sending ||= !size.nil?
          size
        end

        # @return [Boolean]
        def expects_continue? = continue_expected?

        # Asks the client for its body.
        #
        # @raise [SystemCallError, IOError] if it has gone
        def continue
          @sending = true
          client_socket.write(CONTINUE)
        end

        # A middleware that compresses would compress our framing with the body.
        def prepare(length)
          decline_encoding if frames?(length)
        end

        # @param length [Integer, nil]
        def frames?(length)
          length.nil? && !@http10
        end

        # @param length [Integer, nil]
        def abort_response(length)
          reset_on_close(client_socket) if @http10 && length.nil?
        end

        # A client that is still sending would lose an early answer to the reset.
        def finish(answer, input)
          return answer if input.kind.nil?

          status, headers, body = answer
          [status, headers, Rack::BodyProxy.new(body) { linger(input) }]
        end

        private

        def body_missed?
          announced = @env.key?("HTTP_TRANSFER_ENCODING") || @env["CONTENT_LENGTH"].to_i.positive?
          input = unwrapped(@env["rack.input"])
          announced && input.is_a?(StringIO) && input.size.zero?
        end

        def size_here(input)
          buffered = buffer(input)
          buffered ? here(buffered) : MAX_READ
        end

        # The bytes that came with the head wait in @rbuf, which has no reader.
        #
        # @return [String, nil] nil for an input that is wrapped or has another shape, or whose end
        #   is known already: it is read without waiting for the socket
        def buffer(input)
          input = unwrapped(input)
          buffer, parser = %i[@rbuf @parser].map { |name| input.instance_variable_get(name) }
          return unless buffer.is_a?(String) && parser.respond_to?(:body_eof?)

          buffer unless buffer.empty? && parser.body_eof?
        end

        # At the client's end one byte is asked for, so that reading raises what there is to raise.
        #
        # @return [Integer, nil] how many bytes can be read at once
        def here(buffered)
          return [buffered.bytesize, MAX_READ].min unless buffered.empty?

          bytes = client_socket.recv_nonblock(MAX_READ, ::Socket::MSG_PEEK, exception: false)
          [bytes.to_s.bytesize, 1].max unless bytes == :wait_readable
        end

        def linger(input)
          return if expects_continue? && !@sending

          deadline = now + LINGER
          while (size = rest(input, deadline - now))
            input.read(size)
          end
        rescue SystemCallError, IOError
          nil # The client has gone: nobody is left to lose anything.
        end

        def rest(input, seconds)
          buffered = buffer(input.source)
          return if input.ended? || buffered.nil? || !seconds.positive?

          client_socket.wait_readable(seconds) if buffered.empty?
          here(buffered)
        end

        def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      end
    end
  end
end
