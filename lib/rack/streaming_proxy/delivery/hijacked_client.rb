# frozen_string_literal: true

module Rack
  module StreamingProxy
    class Delivery
      # A client whose socket has been taken from the server: all that it gets is written here.
      # @api private
      class HijackedClient
        # @return [#write, #close] what the server had it in
        attr_reader :socket

        # @param socket [#write, #close]
        # @param server [Server::Generic]
        # @param settings [Configuration]
        # @param engine [Boolean] whether the engine may write to it
        def initialize(socket, server, settings, engine: true)
          @socket = socket
          @server = server
          @settings = settings
          @engine = engine && socket.is_a?(::BasicSocket)
        end

        # @return [Boolean] whether the engine can write to it
        def engine? = @engine

        # Sends a whole answer and ends the connection. Where the engine writes, nothing is waited
        # for. If its head cannot be written, nothing has happened.
        #
        # @param answer [Array(Integer, Hash, #each)]
        def answer(answer)
          status, headers, body = answer
          streams = body.is_a?(Body)
          framing = streams ? framing(headers) : :length
          head = RawResponse.head(status, RawResponse.framed(headers, framing))
          return deliver(head, body, framing) if streams

          finish(head << body.to_a.join.b)
        end

        # Sends an answer whose body is read here; may block.
        #
        # @param status [Integer]
        # @param headers [Hash]
        # @param pieces [#each]
        def stream(status, headers, pieces)
          framing = framing(headers)
          chunked = framing == :chunks
          begin_with(RawResponse.head(status, RawResponse.framed(headers, framing)))
          pieces.each { |piece| write(chunked ? Chunked.chunk(piece) : piece) }
          whole = true
          reply(chunked ? Chunked::LAST : "")
        ensure
          close(cut: !whole) if begun?
        end

        # Writes bytes as they are; may block for as long as `send_timeout` allows.
        #
        # @param data [String]
        # @return [Integer] bytes
        # @raise [SystemCallError, IOError] if the client is gone or takes nothing
        def write(data)
          @begun = true
          return @socket.write(data) unless @socket.is_a?(::BasicSocket)

          rest = data.b
          rest = rest.byteslice(write_some(rest)..) until rest.empty?
          data.bytesize
        end

        # The client sees the connection's end.
        #
        # @param cut [Boolean] whether it is to see that something is missing
        def close(cut: false)
          @server.release(@socket, cut:) unless @socket.closed?
        end

        # @return [Boolean] whether it has had its answer, or gets none: what the engine writes may
        #   end before the socket is closed here
        def closed? = @answered || @socket.closed?

        # @return [Boolean] whether an answer has begun: then there is to be no other
        def begun? = @begun || closed?

        private

        def begin_with(head)
          @answered = true
          write(head)
        end

        def finish(bytes)
          @answered = true
          reply(bytes)
        ensure
          close
        end

        def deliver(head, body, framing)
          @answered = true
          whole = RawResponse.deliver(body, @engine ? @socket : self, head, framing, @settings)
        ensure
          @server.release(@socket, cut: !whole && framing == :end)
        end

        def framing(headers)
          return :length if headers.key?(RackHeaders.spelled("content-length"))

          @server.http_version == "1.0" ? :end : :chunks
        end

        def reply(bytes)
          write(bytes) unless engine? && leave(bytes)
        rescue SystemCallError, IOError
          nil # Its client has gone.
        end

        # @return [Boolean] false if no descriptor is left for the engine's duplicate
        def leave(bytes)
          id = Reporters.expect(@settings) { nil }
          limits = [@settings.send_timeout&.to_f, @settings.drain_timeout.to_f]
          done = Native::Deliveries.reply(@socket.fileno, bytes, limits, id)
        ensure
          Reporters.forget(id) unless done
        end

        def write_some(data)
          written = @socket.write_nonblock(data, exception: false)
          return written unless written == :wait_writable

          limit = @settings.send_timeout
          return 0 if @socket.wait_writable(limit)

          raise Errno::ETIMEDOUT, "the client took nothing for #{limit} s (send_timeout)"
        end
      end
    end
  end
end
