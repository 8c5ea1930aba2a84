# frozen_string_literal: true

module Rack
  module StreamingProxy
    # What is said once in each process, of what concerns all requests.
    # @api private
    module Notice
      @lock = Mutex.new
      @said = {}

      class << self
        # @param subject [Symbol]
        # @param log [#warn]
        # @yieldreturn [String, nil] the message; asked for at most once
        def once(subject, log)
          message = yield if first?(subject)
          log.warn(message) if message
        end

        # Has everything be said again: for specs.
        def forget = @lock.synchronize { @said.clear }

        private

        def first?(subject)
          @lock.synchronize { @said.key?(subject) ? false : @said[subject] = true }
        end
      end
    end
  end
end
