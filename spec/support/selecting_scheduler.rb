# frozen_string_literal: true

# A Fiber scheduler on IO.select, for what an application's own scheduler (async's, for one) does
# to code that waits: each wait gives the thread to another fiber. Fibers are transferred to, as
# async's are, because one that waits in an Enumerator must not yield to whoever called `next`.
class SelectingScheduler
  # Runs the block in a fiber of a scheduler in a thread of its own.
  # @return [Object] what the block returned
  def self.run(within: 30)
    result = nil
    thread = Thread.new do
      Fiber.set_scheduler(new)
      Fiber.schedule { result = yield }
    end
    thread.report_on_exception = false
    thread.join(within) or raise RawSocket::Expired, "the fibers did not end within #{within} s"
    result
  ensure
    thread&.kill
  end

  def initialize
    @loop = Fiber.current
    @readers = {}
    @writers = {}
    @timers = {}
    @ready = []
    @blocked = 0
    # Ruby 3.1 may collect one that another will be transferred to from, and end in its next GC.
    @fibers = []
    @lock = Mutex.new
    @bell, @rope = IO.pipe
  end

  # Called at the end of the thread; returns when all fibers have ended.
  def close
    turn until [@readers, @writers, @timers, @ready].all?(&:empty?) && @blocked.zero?
  ensure
    [@bell, @rope].each(&:close)
  end

  def fiber(&block)
    Fiber.new(blocking: false, &block).tap do |fiber|
      @fibers << fiber
      step_aside { fiber.transfer }
    end
  end

  # Raises in a fiber that waits.
  def cancel(fiber, *error)
    step_aside { fiber.raise(*error) }
  end

  def io_wait(io, events, timeout)
    fiber = Fiber.current
    @readers[fiber] = io if events.anybits?(IO::READABLE)
    @writers[fiber] = io if events.anybits?(IO::WRITABLE)
    @timers[fiber] = Deadline.new(timeout) if timeout
    @loop.transfer
  ensure
    [@readers, @writers, @timers].each { |waiting| waiting.delete(fiber) }
  end

  def kernel_sleep(seconds = nil)
    block(:sleep, seconds)
  end

  def block(_blocker, timeout = nil)
    fiber = Fiber.current
    @timers[fiber] = Deadline.new(timeout) if timeout
    @blocked += 1
    @loop.transfer
  ensure
    @blocked -= 1
    @timers.delete(fiber)
  end

  # Comes from any thread.
  def unblock(_blocker, fiber)
    @lock.synchronize { @ready << [fiber, true] }
    @rope.write(".")
  end

  # What Timeout.timeout asks for.
  def timeout_after(seconds, error, message)
    fiber = Fiber.current
    over = false
    Fiber.schedule do
      sleep(seconds)
      cancel(fiber, error, message) unless over
    end
    yield seconds
  ensure
    over = true
  end

  private

  # The running fiber goes on in the next turn of the loop.
  def step_aside
    return yield if Fiber.current.equal?(@loop)

    unblock(nil, Fiber.current)
    yield
  end

  def turn
    readable, writable = IO.select([@bell, *@readers.values], @writers.values, [], patience)
    @bell.read_nonblock(1024, exception: false) if readable&.include?(@bell)
    wake(@readers, readable, IO::READABLE)
    wake(@writers, writable, IO::WRITABLE)
    @timers.select { |_, deadline| deadline.passed? }.each_key { |one| resume(one, false) }
    @lock.synchronize { @ready.slice!(0..) }.each { |one, value| resume(one, value) }
  end

  def patience
    @timers.values.map(&:remaining).min
  end

  def wake(waiting, ready, event)
    waiting.select { |_, io| ready&.include?(io) }.each_key { |one| resume(one, event) }
  end

  def resume(fiber, value)
    fiber.transfer(value) if fiber.alive?
  end
end
