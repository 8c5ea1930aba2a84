# frozen_string_literal: true

module Rack
  module StreamingProxy
    class Session
      # The descriptor that the engine rings when there is news, and the wait for it. It is closed
      # through Ruby, behind the native side, so that whoever waits gets an IOError.
      # @api private
      class Bell
        # @param descriptor [Integer]
        def initialize(descriptor)
          @io = IO.for_fd(descriptor, autoclose: false)
        end

        # Waits. A thread that waits is woken by {#close}, with an IOError. A fiber is not, for its
        # scheduler has lost the descriptor: it hears the last ring, and closes the bell itself. Who
        # hears that ring before the descriptor is Ruby's must leave it to `close`.
        #
        # @param seconds [Numeric, nil]
        # @return [IO, nil] nil if it has not rung
        # @raise [IOError] if the exchange is closed
        def wait(seconds)
          @scheduler = Fiber.scheduler unless Fiber.current.blocking?
          rang = @io.wait_readable(seconds)
          raise IOError, "closed by another thread or fiber" if @ending

          rang
        ensure
          @scheduler = nil
          @io.close if @released
        end

        # The exchange is about to end, with a last ring.
        def ending
          @ending = true
        end

        # The native side has released it. Idempotent.
        def close
          return if @released

          @io.autoclose = true
          @released = true
          @io.close unless @scheduler
        end
      end
    end
  end
end
