# frozen_string_literal: true

module Rack
  module StreamingProxy
    module Testing
      # One connection from the engine and the one request on it. Never waits.
      # @api private
      class Connection
        SIZE = 256 * 1024
        private_constant :SIZE

        # @return [Socket]
        attr_reader :socket

        # @param socket [Socket]
        # @param url [String]
        # @param eager [Boolean] whether the body of a 5xx is sent before it is asked for
        # @yieldparam request [Testing::Request]
        # @yieldreturn [Array(Integer, Hash, #each)]
        def initialize(socket, url, eager:, &answer)
          @socket = socket
          @reader = RequestReader.new(url)
          @eager = eager
          @answer = answer
          @pending = String.new(encoding: Encoding::BINARY)
        end

        # @return [Boolean] whether there is something to write
        def pending? = !@pending.empty?

        # @return [Boolean]
        def closed? = @socket.closed?

        # Takes what has come; answers a request that is whole.
        def read
          bytes = @socket.read_nonblock(SIZE, exception: false)
          return close if bytes.nil?
          return if bytes == :wait_readable || @response

          request = @reader.take(bytes)
          respond(request) if request
        rescue SystemCallError
          close # The exchange was given up.
        end

        # Writes what the socket takes.
        def write
          written = @socket.write_nonblock(@pending, exception: false)
          @pending = @pending.byteslice(written..) if written.is_a?(Integer)
          after_piece if @pending.empty?
        rescue SystemCallError
          close
        end

        # Sends the next piece of the body if the last one has come out.
        #
        # @param received [Integer] bytes of the body that have
        def proceed(received)
          send_next if @response && !@ended && !pending? && received >= @response.given
        end

        # Breaks the connection off, or ends it.
        def close
          @socket.close
        end

        private

        def respond(request)
          @response = ResponseWriter.new(request, @answer.call(request))
          @pending << @response.head
          write
        end

        def after_piece
          send_next if @eager && !@ended && @response.status >= 500
        end

        def send_next
          piece = @response.next
          return close if piece == BodyError

          @ended = piece.nil?
          @pending << (piece || @response.ending.to_s)
          pending? ? write : close
        end
      end
    end
  end
end
