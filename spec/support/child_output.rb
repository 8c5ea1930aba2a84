# frozen_string_literal: true

# What a child process writes to its standard output and error, collected line by line in a thread,
# so that specs can wait for a line. Who asks gets all lines that had been written by then.
class ChildOutput
  def initialize(io)
    @io = io
    @text = +""
    @line = "".b # which has not ended
    @ended = false
    @mutex = Mutex.new
    @arrived = ConditionVariable.new
    @reader = Thread.new { collect }
  end

  def to_s
    @mutex.synchronize do
      take
      @text.dup
    end
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
    @io.wait_readable until @mutex.synchronize { take }
  rescue IOError
    @mutex.synchronize { finish }
  end

  # Takes all that is here.
  # @return [Boolean] whether there will be no more
  def take
    until @ended
      case (bytes = @io.read_nonblock(65_536, exception: false))
      when :wait_readable then break
      when nil then finish
      else add(bytes)
      end
    end
    @ended
  end

  def add(bytes)
    @line << bytes
    lines = @line.slice!(/.*\n/m) or return
    @text << lines.force_encoding(Encoding::UTF_8).scrub
    @arrived.broadcast
  end

  def finish
    @text << @line.force_encoding(Encoding::UTF_8).scrub
    @line = "".b
    @ended = true
    @arrived.broadcast
  end

  def fail_without(pattern, deadline)
    raise RawSocket::Expired, "#{pattern.inspect} was not written within #{deadline}; " \
                              "the output was:\n#{@text}"
  end
end
