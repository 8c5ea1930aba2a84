# frozen_string_literal: true

require_relative "shutdown"

module Rack
  module StreamingProxy
    # A few threads that are told how responses have ended which the engine writes, and run what the
    # application wants to know of it. They start with the first such response, in a forked child
    # again. A callable that blocks holds up one of them.
    # @api private
    module Reporters
      THREADS = 2

      # A response that the engine writes, or of which it has not been told yet how it ended.
      #
      # @!attribute settings [Configuration]
      # @!attribute report [#call]
      # @!attribute outcome [Symbol, nil] `:ended` or, with the process, `:cut`
      Expected = Struct.new(:settings, :report, :outcome)

      @lock = Mutex.new

      class << self
        # Has a block called when a delivery has ended.
        #
        # @param settings [Configuration]
        # @yieldparam failure [Array, nil] the facts of a failed exchange
        # @return [Integer] the delivery's id
        def expect(settings, &report)
          @lock.synchronize do
            start unless @pid == Process.pid
            staff
            @expected[@last += 1] = Expected.new(settings, report)
            @last
          end
        end

        # @param id [Integer] of a delivery that was not begun, or has been reported
        def forget(id)
          @lock.synchronize { @expected.delete(id) }
        end

        # @return [Array<Expected>] those of this process that have not been reported
        def open
          @lock.synchronize { @pid == Process.pid ? @expected.values : [] }
        end

        private

        def start
          @pid = Process.pid
          @last = 0
          @expected = {}
          @ended = []
          @turn = Mutex.new
          @bell = ::IO.for_fd(Native::Deliveries.bell, autoclose: false)
          @threads = []
          Shutdown.at_exit
        end

        # A callable may end its thread, by an exception that is no StandardError.
        def staff
          @threads.select!(&:alive?)
          @threads.push(reporter) while @threads.size < THREADS
        end

        # A thread begins with the mask of the one that makes it, and must end with the process.
        def reporter
          Thread.new { Thread.handle_interrupt(Object => :immediate) { work } }
                .tap { |thread| thread.name = "rsp-report" }
        end

        def work
          loop do
            id, failure = next_ended
            report(@lock.synchronize { @expected[id] }, failure)
          rescue StandardError => e
            warn "#{Log::PREFIX} a report failed: #{e.class}: #{e.message}"
          ensure
            forget(id)
          end
        end

        def report(expected, failure)
          expected.outcome = failure&.include?(:shutdown) ? :cut : :ended
          expected.report.call(failure)
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
