# frozen_string_literal: true

# A moment after which a wait of the specs gives up; handed down so that several waits share one.
class Deadline
  # For what is sure to come: more than a busy machine needs.
  SECONDS = 20

  def self.in(seconds)
    seconds.is_a?(Deadline) ? seconds : new(seconds)
  end

  def self.now
    Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end

  def initialize(seconds)
    @seconds = seconds
    @moment = Deadline.now + seconds
  end

  def remaining
    [@moment - Deadline.now, 0].max
  end

  def passed?
    remaining.zero?
  end

  # Asks again and again until the block answers with something truthy, and returns that; for
  # states that announce themselves by no event, such as counters of another process.
  # @return [Object, nil] nil when the deadline passed first
  def poll(every: 0.01)
    loop do
      value = yield
      return value if value
      return nil if passed?

      sleep every
    end
  end

  def to_s
    "#{@seconds} s"
  end
end
