# frozen_string_literal: true

module Streamer
  # Counts the requests of /flaky in this process, for each path with its query. Any thread.
  class Failures
    LIMIT = 10_000

    def initialize
      @attempts = Hash.new(0)
      @lock = Mutex.new
    end

    # @return [Integer] how often this key was counted, this time included
    def count(key)
      @lock.synchronize do
        @attempts.shift if @attempts.size >= LIMIT && !@attempts.key?(key)
        @attempts[key] += 1
      end
    end
  end
end
