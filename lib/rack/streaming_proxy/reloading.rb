# frozen_string_literal: true

module Rack
  module StreamingProxy
    # Lets Rails reload changed code while a response streams. In development it waits with that
    # for all running requests to end, and everybody else waits for it: a stream without end would
    # stop the whole application.
    # @api private
    module Reloading
      class << self
        # @return [Boolean] whether Rails reloads code in this process
        attr_accessor :enabled

        # Yields while this thread does not count as running: the block is to use no code that can
        # be reloaded.
        def permit(&block)
          enabled && running? ? paused(&block) : yield
        end

        private

        # A thread is not, for one, where the proxy stands in front of ActionDispatch::Executor.
        def running?
          interlock.raw_state { |threads| threads.dig(Thread.current, :sharing).to_i.positive? }
        end

        def paused
          interlock.done_running
          yield
        ensure
          interlock.start_running
        end

        def interlock = ::ActiveSupport::Dependencies.interlock
      end
    end
  end
end
