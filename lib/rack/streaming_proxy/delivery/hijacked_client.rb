# frozen_string_literal: true

module Rack
  module StreamingProxy
    class Delivery
      # A client whose socket has been taken from the server: all that it gets is written here.
      # @api private
      class HijackedClient
        # Bytes that a socket to which nothing has been written takes at once.
        AT_ONCE = 4 * 1024
        NO_DESCRIPTOR = "a response cannot be given to its client while all file descriptors of " \
                        "this process are in use: raise its limit (ulimit -n, RLIMIT_NOFILE), " \
                        "or lower max_streams"
        private_constant :AT_ONCE, :NO_DESCRIPTOR

        # @return [#write, #close] what the server had it in
        attr_reader :socket

        # @param socket [#write, #close]
        # @param server [Server::Generic]
        # @param settings [Configuration]
        # @param engine [Boolean] whether the engine may write to it
        # @param waits [Boolean] whether this thread may write what the engine cannot, for lack of
        #   a descriptor
        def initialize(socket, server, settings, engine: true, waits: true)
          @socket = socket
          @server = server
          @settings = settings
          @engine = engine && socket.is_a?(::BasicSocket)
          @waits = waits || !@engine
        end

        # @return [Boolean] whether the engine can write to it
        def engine? = @engine

        # Sends a whole answer and ends the connection. Where the engine writes, nothing is waited
        # for. If its head cannot be written, nothing has happened.
        #
        # @param answer [Array(Integer, Hash, #each)]
        # @raise [Overloaded] if the engine would have to write, and no descriptor is left: then
        #   nothing has happened, and a short answer can be sent
        def answer(answer)
          status, headers, body = answer
          streams = body.is_a?(Body)
          framing = streams ? framing(headers) : :length
          head = RawResponse.head(status, headers.merge(Framing.last(framing)))
          return deliver(head, body, framing) if streams

          finish(head << body.to_a.join.b)
        end

        # Sends an answer whose body is read here; may block.
        #
        # @param status [Integer]
        # @param headers [Hash]
        # @param pieces [Fetch::Pieces]
        def stream(status, headers, pieces)
          framing = Framing.of(pieces.length, @server)
          chunked = framing == :chunks
          headers = { **headers, **length_of(pieces) }
          write_body(framing) do
            begin_with(RawResponse.head(status, headers.merge(Framing.last(framing))))
            pieces.each { |piece| write(chunked ? Framing.chunk(piece) : piece) }
          end
          whole = true
          reply(chunked ? Framing::LAST_CHUNK : "")
        ensure
          close(cut: !whole) if begun?
        end

        # @return [Boolean] whether an answer that is here has not ended yet
        def streams? = false

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

        # What the block writes does not look whole if only the connection's end tells, and the
        # process is killed before the block's end.
        #
        # @param framing [Symbol] `:length`, `:chunks` or `:end`
        def write_body(framing)
          @server.reset_on_close(@socket) if framing == :end
          yield
          @server.reset_on_close(@socket, reset: false) if framing == :end
        end

        # Has the engine write a body. Who is interrupted behind that leaves it alone.
        #
        # @param body [Body]
        # @param head [String] to be written first
        # @param framing [Symbol] `:length`, `:chunks` or `:end`
        # @return [Boolean] false if that cannot be: nothing has happened then
        def hand_over(body, head, framing)
          Thread.handle_interrupt(Object => :never) do
            @left = body.deliver(@socket, head, framing, @settings)
          end
        end

        # The client sees the connection's end, unless the engine is to end it.
        #
        # @param cut [Boolean] whether it is to see that something is missing
        def close(cut: false)
          return if @socket.closed?

          @left ? @socket.close : @server&.release(@socket, cut:)
        rescue SystemCallError, IOError
          nil # It has been closed meanwhile.
        ensure
          # It has the request's env, which is not to be kept for as long as the engine writes.
          @server = nil
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

        # To what has got nothing yet.
        def finish(bytes)
          left = engine? && leave(bytes)
          raise Overloaded, NO_DESCRIPTOR unless left || @waits || bytes.bytesize <= AT_ONCE

          @answered = true
          write_rest(bytes) unless left
        ensure
          close if @answered
        end

        def deliver(head, body, framing)
          # Also while it is given: the engine may have ended before this thread goes on.
          @answered = true
          done = given(head, body, framing)
        ensure
          @answered = body.closed?
          close(cut: !done && framing == :end) if @answered
        end

        def given(head, body, framing)
          return RawResponse.deliver(body, self, head, framing) if @waits

          hand_over(body, head, framing) || raise(Overloaded, NO_DESCRIPTOR)
        end

        def framing(headers)
          Framing.of(headers[RackHeaders.spelled("content-length")], @server)
        end

        def length_of(pieces)
          pieces.length ? { RackHeaders.spelled("content-length") => pieces.length.to_s } : {}
        end

        # Behind what has been written here.
        def reply(bytes)
          write_rest(bytes) unless engine? && leave(bytes)
        end

        def write_rest(bytes)
          write(bytes)
        rescue SystemCallError, IOError
          nil # Its client has gone.
        end

        # A thread that is interrupted in between would leave an entry for ever, or answer twice.
        #
        # @return [Boolean] false if no descriptor is left for the engine's duplicate
        def leave(bytes)
          Thread.handle_interrupt(Object => :never) do
            id = Reporters.expect(@settings) { nil }
            done = Native::Deliveries.reply(@socket.fileno, bytes, @settings.delivery_limits, id)
          rescue IOError
            true # Its client has gone.
          ensure
            Reporters.forget(id) if id && !done
            @left = done
            @answered ||= done
          end
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
