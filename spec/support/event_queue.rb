# frozen_string_literal: true

# A queue whose `pop` waits with a deadline: how threads of the specs tell each other that something
# has happened.
class EventQueue
  def initialize(what = "event")
    @what = what
    @events = []
    @mutex = Mutex.new
    @arrived = ConditionVariable.new
  end

  def push(event)
    @mutex.synchronize do
      @events << event
      @arrived.signal
    end
    self
  end
  alias << push

  # @return [Object] the oldest event
  # @raise [RawSocket::Expired] when none comes in time
  def pop(within: Deadline::SECONDS)
    deadline = Deadline.in(within)
    @mutex.synchronize do
      while @events.empty?
        raise RawSocket::Expired, "no #{@what} within #{deadline}" if deadline.passed?

        @arrived.wait(@mutex, deadline.remaining)
      end
      @events.shift
    end
  end

  def size
    @mutex.synchronize { @events.size }
  end

  def empty?
    size.zero?
  end
end
