# frozen_string_literal: true

module Rack
  module StreamingProxy
    # A few threads that are told how responses have ended which the engine writes, and run what the
    # application wants to know of it. They start with the first such response, in a forked child
    # again. A callable that blocks holds up one of them.
    # @api private
    module Reporters
      THREADS = 2

      @lock = Mutex.new

      class << self
        # Has a block called when a delivery has ended.
        #
        # @yieldparam failure [Array, nil] the facts of a failed exchange
        # @return [Integer] the delivery's id
        def expect(&report)
          @lock.synchronize do
            start unless @pid == Process.pid
            @reports[@last += 1] = report
            @last
          end
        end

        # @param id [Integer] of a delivery that was not begun
        def forget(id)
          @lock.synchronize { @reports.delete(id) }
        end

        private

        def start
          @pid = Process.pid
          @last = 0
          @reports = {}
          @ended = []
          @turn = Mutex.new
          @bell = ::IO.for_fd(Native::Deliveries.bell, autoclose: false)
          THREADS.times { Thread.new { work }.name = "rsp-report" }
        end

        def work
          loop do
            id, failure = next_ended
            forget(id)&.call(failure)
          rescue StandardError => e
            warn "#{Log::PREFIX} a report failed: #{e.class}: #{e.message}"
          end
        end

        # One thread waits, the others for their turn.
        def next_ended
          @turn.synchronize do
            while @ended.empty?
              @ended.concat(Native::Deliveries.ended)
              @bell.wait_readable if @ended.empty?
            end
            @ended.shift
          end
        end
      end
    end
  end
end
