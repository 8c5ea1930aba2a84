# frozen_string_literal: true

module Demo
  # The clock that the upstream stamps its chunks with: the same for all processes of the machine.
  module Clock
    # @return [Float] seconds
    def self.now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end
end
