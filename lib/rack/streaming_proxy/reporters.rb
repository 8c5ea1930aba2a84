# frozen_string_literal: true

require_relative "reporters/expected"
require_relative "shutdown"

module Rack
  module StreamingProxy
    # A few threads that are told how responses have ended which the engine writes, and which
    # exchanges that nobody waits for have news ({Early}), and run what the application wants to
    # know of it. They start with the first such response, in a forked child again. While callables
    # block all of them, there are more, up to {MOST}; what comes then waits.
    # @api private
    module Reporters
      MOST = 32

      @lock = Mutex.new
      @threads = 2

      class << self
        # @return [Integer] how many threads wait for what comes
        attr_reader :threads

        # @return [#wrap, nil] what the application's code is to run in, such as Rails' executor
        attr_accessor :executor

        # @param count [Integer]
        # @raise [ConfigurationError]
        def threads=(count)
          unless count.is_a?(Integer) && count.between?(1, MOST)
            raise ConfigurationError, "callback_threads takes an Integer from 1 to #{MOST}, not " \
                                      "#{Configuration.redact(count)}"
          end

          @lock.synchronize { @threads = count }
        end

        # Has a block called when a delivery has ended, and each time that there is news before.
        # What is expected from within such a block has come of that one.
        #
        # @param settings [Configuration]
        # @param cut [#call, nil] ends what has no head yet, when the process ends
        # @yieldparam news [Symbol, Array, nil] `:ready`; of one that has ended, the facts of its
        #   failure, or nil
        # @return [Integer] the delivery's id
        def expect(settings, cut: nil, &report)
          @lock.synchronize do
            start unless @pid == Process.pid
            staff
            @expected[@last += 1] = Expected.new(settings, report, cut, Thread.current[:rsp_heard])
            @last
          end
        end

        # @param id [Integer] of a delivery that was not begun, or of which all has been told
        def forget(id)
          @lock.synchronize { @expected.delete(id) }&.forgotten
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
          @news = []
          @turn = Mutex.new
          @bell = ::IO.for_fd(Native::Deliveries.bell, autoclose: false)
          @idle = @all = 0
          Shutdown.at_exit
        end

        # With the lock held. A callable may end its thread, by what is no StandardError.
        def staff
          nil while @all < @threads && add
        end

        # A thread begins with the mask of the one that makes it, and must end with the process.
        #
        # @return [Boolean] false if the system has none left: those that there are go on alone
        # @raise [ThreadError] if there are none
        def add
          Thread.new { Thread.handle_interrupt(Object => :immediate) { work } }.name = "rsp-report"
          @all += 1
          @idle += 1
          true
        rescue ThreadError
          @all.zero? ? raise : false
        end

        def work
          left = false
          loop do
            id, news = next_news
            busy { hear(id, news) }
            return left = true if surplus?
          end
        ensure
          @lock.synchronize { uncount } unless left
        end

        # Somebody is left to hear what comes meanwhile.
        def busy
          @lock.synchronize do
            @idle -= 1
            add if @idle.zero? && @all < MOST
          end
          yield
        ensure
          @lock.synchronize { @idle += 1 }
        end

        def surplus?
          @lock.synchronize { uncount if @idle > @threads }
        end

        # @return [true]
        def uncount
          @all -= 1
          @idle -= 1
          true
        end

        # One of which nothing more is to be told is expected no more, once it has been reported.
        def hear(id, news)
          Thread.current[:rsp_heard] = expected = @lock.synchronize { @expected[id] }
          expected&.tell(news, @executor)
        rescue StandardError => e
          warn "#{Log::PREFIX} a report failed: #{e.class}: #{e.message}"
        ensure
          Thread.current[:rsp_heard] = nil
          forget(id) unless news == :ready
        end

        # One thread waits, the others for their turn.
        def next_news
          @turn.synchronize do
            while @news.empty?
              @news.concat(Native::Deliveries.news)
              @bell.wait_readable if @news.empty?
            end
            @news.shift
          end
        end
      end
    end
  end
end
