# frozen_string_literal: true

module Rack
  module StreamingProxy
    class Session
      # How an exchange leaves the thread that opened it, for the engine or the threads of
      # {Reporters}, and how it ends, which is the business of whoever has it.
      module HandOver
        # Takes one of the places for responses that the engine writes; `close` gives it back.
        #
        # @param most [Integer, nil] places that there are; nil: as many as are asked for
        # @raise [Overloaded] if none is left, or no descriptor
        def take_place(most)
          checked(@exchange.take_place(most, @upstream))
        end

        # Has {Reporters} told, by `id`, when {Session#head_by_now} is to be asked again; and
        # watches for the client's leaving. `close` belongs to the reporters from there.
        #
        # @param id [Integer]
        # @param socket [IO] the client's
        # @raise [ClientGone] if the socket is closed
        def notify(id, socket)
          watch_client(socket)
          @left = true
          @exchange.notify(id)
        end

        # Has the engine write the response to the client. Nothing is to be read afterwards; `close`
        # belongs to the report.
        #
        # @param socket [IO] the client's, of which the engine takes a duplicate
        # @param head [String] to be written first
        # @param framing [Symbol] `:length`, `:chunks` or `:end`
        # @param settings [Configuration]
        # @yieldparam failure [Array, nil] its facts; on a thread of {Reporters}, at the end
        # @return [Boolean] false if that cannot be, because it is no socket of the system's, or its
        #   client has left: then nothing has happened
        def deliver(socket, head, framing, settings, &report)
          limits = [*settings.delivery_limits, settings.min_send_rate]
          delivery = [head, framing, *limits, @upstream]
          handed_over(socket, settings, report) do |descriptor, id|
            @exchange.deliver(descriptor, delivery, id)
          end
        end

        # Has the engine pass bytes on between the client and an upstream that has changed
        # protocols.
        #
        # @param socket [IO] the client's, of which the engine takes a duplicate
        # @param head [String] to be written first
        # @param early [String] what the client has sent behind its request
        # @param settings [Configuration]
        # @yieldparam failure [Array, nil] as with {#deliver}
        # @return [Boolean] false if that cannot be, as with {#deliver}
        def tunnel(socket, head, early, settings, &report)
          tunnel = [head, early, settings.tunnel_timeout&.to_f, settings.idle_timeout&.to_f,
                    @upstream]
          handed_over(socket, settings, report) do |descriptor, id|
            @exchange.tunnel(descriptor, tunnel, id)
          end
        end

        # Ends the exchange; the upstream's connection is shut down if it is still in use.
        # Idempotent.
        #
        # @return [Boolean] false in a process forked from the one that opened it: it is not ours
        def close
          # A thread that is killed in between would lose the bell's descriptor. Nothing waits.
          Thread.handle_interrupt(Object => :never) { end_exchange if @open.shift }
          Process.pid == @pid
        end

        # The same for the thread that opened it, which may be interrupted at any moment: what has
        # left is the reporters' to close.
        #
        # @return [Boolean] whether it is this thread's to tell of
        def close_unless_left = !@left && close

        private

        def end_exchange
          @bell.ending
          @exchange.close
          @bell.close
        end

        # A thread that is killed in between would leave an exchange that nobody closes.
        def handed_over(socket, settings, report)
          return false unless socket.is_a?(::BasicSocket)

          Thread.handle_interrupt(Object => :never) do
            id = Reporters.expect(settings, &report)
            done = yield(socket.fileno, id)
            leave if done
            done
          rescue IOError
            false # The server has closed it.
          ensure
            Reporters.forget(id) if id && !done
          end
        end

        # The request, with its env, is not to be kept for as long as the engine goes on.
        def leave
          @bell.close
          @server = @upload = nil
          @left = true
        end
      end
    end
  end
end
