# frozen_string_literal: true

module Rack
  module StreamingProxy
    module Server
      class Thin < Generic
        # A body that Thin's reactor does not wait for: `each` returns at once, a thread reads the
        # body, and the reactor writes it. Where Thin has a thread for the request (`--threaded`),
        # that reads, and closes what stands outside, for there it began. Thin takes the body for an
        # EventMachine::Deferrable: it ends the response with `callback` or `errback`. It has no
        # public `fail`, which Thin would call when the client has left: through two of Rack's
        # BodyProxy outside, Kernel#fail answers.
        # @api private
        class Deferrable
          # Bytes that may wait in EventMachine's buffer.
          HIGH_WATER_MARK = 512 * 1024
          # Seconds between polls of that buffer, for which EventMachine has no event.
          POLL_INTERVAL = 0.005
          # An address of no family.
          UNSPECIFIED = [::Socket::AF_UNSPEC].pack("S").ljust(16, "\0").freeze
          private_constant :HIGH_WATER_MARK, :POLL_INTERVAL, :UNSPECIFIED

          # @param body [Body]
          # @param length [Integer, nil] bytes of the body, if known
          # @param connection [Thin::Connection]
          def initialize(body, length, connection)
            @body = body
            @left = length
            @connection = connection
            @room = Thread::Queue.new
            @lock = Mutex.new
            @waiting = { complete: [], aborted: [] }
          end

          # Where Thin has this body, or one that passes `callback` on to it, the yielding goes on
          # after the return. Where a middleware collects or wraps it, it blocks as any other.
          #
          # @yieldparam chunk [String]
          # @raise [BodyError] only where it blocks
          def each(&send_chunk)
            return @body.each(&send_chunk) unless deferred?

            connected { hold_open }
            return if @ending
            return @reader = reader(send_chunk) if ::EventMachine.reactor_thread?

            @reader = Thread.current
            @in_request = true
            read(send_chunk)
          end

          # @yield when the body has ended whole: at once, if it has
          def callback(&action) = at_end(:complete, action)

          # Thin asks for this last.
          #
          # @yield when the connection has ended before the body: at once, if it has
          def errback(&action)
            at_end(:aborted, action)
            in_reactor(&@conclusion) if @in_request
          end

          # Thin ends the request before its body has ended. It has lost the connection; or it
          # answers a pipelined request, of which it knows nothing, with an error page, in mid-body.
          def dropped
            return unless @reader

            connected do
              reset unless @connection.response.body.equal?(@held)
              lose
            end
          end

          # Idempotent.
          def close
            @room.close
            @body.close
          end

          private

          def deferred?
            @held = @connection.response.body
            @held.respond_to?(:callback) && @held.respond_to?(:errback)
          end

          # Thin would close a connection on which nothing comes for 30 s. Where the connection's
          # end is the body's, a server that is killed must not end it with a FIN.
          def hold_open
            @inactivity_timeout = @connection.comm_inactivity_timeout
            @connection.comm_inactivity_timeout = 0
            linger(true) unless @left
          end

          # The connection is lost: the client has left, or is to be left.
          def lose
            close
            disconnect if @reader && !@ending && @left.nil?
            ended(:aborted)
          end

          def let_go
            @connection.comm_inactivity_timeout = @inactivity_timeout
            linger(false) unless @left
          end

          def linger(reset) = socket.setsockopt(::Socket::Option.linger(reset, 0))

          # EventMachine's own; its number is asked for each time, for it may be another's by now.
          def socket
            ::Socket.for_fd(::EventMachine.get_file_descriptor(@connection.signature))
                    .tap { |socket| socket.autoclose = false }
          end

          # A thread for each stream, which ends with it; named as the engine's are.
          def reader(send_chunk)
            Thread.new { read(send_chunk) }.tap { |thread| thread.name = "rsp-reader" }
          end

          def read(send_chunk)
            @body.each { |chunk| last?(chunk) ? @last = chunk : hand_over(chunk, send_chunk) }
            whole = true
          rescue BodyError, ClosedQueueError
            nil # The body has logged that it was cut short, or that the client has left.
          ensure
            @body.close
            conclude { whole ? finish(send_chunk) : abort_response }
          end

          # In the request's thread Thin goes on with the end of the response, once it has asked to
          # hear of that: the last piece and the end belong together.
          def conclude(&action)
            return in_reactor(&action) unless @in_request

            @conclusion = action
            @held.close
          end

          # The last piece of known length goes out together with the end: upon it the client may
          # send its next request, which Thin would take for more of the first.
          def last?(chunk)
            @left &&= @left - chunk.bytesize
            @left&.zero?
          end

          # Waits until the reactor has room for more.
          def hand_over(chunk, send_chunk)
            in_reactor do
              send_chunk.call(chunk)
              once_below(HIGH_WATER_MARK) { @room.push(true) }
            end
            @room.pop || raise(ClosedQueueError)
          end

          def in_reactor(&action)
            ::EventMachine.next_tick { connected(&action) }
          end

          # In the reactor, as all below. EventMachine raises about a connection that it has lost,
          # and would end Thin.
          def connected
            yield unless @ending
          rescue RuntimeError, SystemCallError
            lose
          end

          # Polls, for EventMachine has no event for it.
          def once_below(bytes, &action)
            return action.call if @connection.get_outbound_data_size <= bytes

            ::EventMachine.add_timer(POLL_INTERVAL) { connected { once_below(bytes, &action) } }
          end

          # Where the connection's end is the body's, a FIN must not come before the last byte.
          def finish(send_chunk)
            send_chunk.call(@last) if @last
            once_below(@left ? ::Float::INFINITY : 0) do
              let_go
              ended(:complete)
            end
          end

          # Thin would go on with a connection that the client wants to keep.
          def abort_response
            once_below(0) { @left ? @connection.close_connection : reset }
          end

          # EventMachine sends a FIN before it closes: the connection is taken from it.
          def reset
            ::BasicSocket.for_fd(@connection.detach).close
          end

          # EventMachine is about to close it in its own way, as it does when Thin is stopped: Linux
          # then sends a RST for a socket that is to have no peer any more.
          def disconnect
            socket.connect(UNSPECIFIED)
          rescue SystemCallError, RuntimeError
            nil # It is closed, or has no peer already.
          end

          # A threaded Thin asks from a thread of its own.
          def at_end(how, action)
            @lock.synchronize { @ending || @waiting[how].push(action) }
            action.call if @ending == how
          end

          def ended(how)
            waiting = @lock.synchronize do
              @ending ||= how
              @waiting.delete(how) if @ending == how
            end
            waiting&.each(&:call)
          end
        end
      end
    end
  end
end
