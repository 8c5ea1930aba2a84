# frozen_string_literal: true

# What a child process writes to its standard output and error, collected line by line in a thread,
# so that specs can wait for a line.
class ChildOutput
  def initialize(io)
    @io = io
    @text = +""
    @ended = false
    @mutex = Mutex.new
    @arrived = ConditionVariable.new
    @reader = Thread.new { collect }
  end

  def to_s
    @mutex.synchronize { @text.dup }
  end

  def lines
    to_s.lines(chomp: true)
  end

  # @return [MatchData]
  # @raise [RawSocket::Expired] with the output so far, when no such text comes in time
  def wait_for(pattern, within: Deadline::SECONDS)
    deadline = Deadline.in(within)
    @mutex.synchronize do
      until (match = pattern.match(@text))
        fail_without(pattern, deadline) if @ended || deadline.passed?

        @arrived.wait(@mutex, deadline.remaining)
      end
      match
    end
  end

  # @return [Boolean] whether every writer closed the output in time
  def ended?(within:)
    !@reader.join(within).nil?
  end

  def stop
    @reader.join(1) || @reader.kill.join
    @io.close unless @io.closed?
  end

  private

  def collect
    while (line = @io.gets)
      @mutex.synchronize do
        @text << line.force_encoding(Encoding::UTF_8).scrub
        @arrived.broadcast
      end
    end
  rescue IOError
    nil
  ensure
    @mutex.synchronize do
      @ended = true
      @arrived.broadcast
    end
  end

  def fail_without(pattern, deadline)
    raise RawSocket::Expired, "#{pattern.inspect} was not written within #{deadline}; " \
                              "the output was:\n#{@text}"
  end
end
