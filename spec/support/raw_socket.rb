# frozen_string_literal: true

require "socket"

# One end of a connection, read and written byte by byte with a deadline on every wait. It tells a
# clean end (:fin) from a reset (:reset); clients and scripted upstreams are built on it.
class RawSocket
  # A wait of the specs took longer than it was given.
  class Expired < StandardError; end

  # The peer ended the connection before what was asked for had come.
  class Ended < StandardError; end

  READ_SIZE = 256 * 1024

  attr_reader :io, :ending, :received

  def initialize(io)
    @io = io
    @buffer = String.new(encoding: Encoding::BINARY)
    @ending = nil
    @received = 0
  end

  def write(bytes)
    @io.write(bytes)
    @io.flush
    self
  end

  # @return [String] everything up to and including the delimiter
  def read_until(delimiter, within: Deadline::SECONDS)
    deadline = Deadline.in(within)
    fill(deadline) until (at = @buffer.index(delimiter.b))
    take(at + delimiter.bytesize)
  end

  def read_exactly(count, within: Deadline::SECONDS)
    deadline = Deadline.in(within)
    fill(deadline) while @buffer.bytesize < count
    take(count)
  end

  # @return [String] at least one byte, whatever is here
  def read_some(within: Deadline::SECONDS)
    fill(Deadline.in(within)) if @buffer.empty?
    take(@buffer.bytesize)
  end

  # @return [String, Symbol] all remaining bytes, and :fin or :reset
  def read_to_end(within: Deadline::SECONDS)
    deadline = Deadline.in(within)
    loop { fill(deadline) }
  rescue Ended
    [take(@buffer.bytesize), @ending]
  end

  # Discards what comes until the peer ends the connection.
  # @return [Symbol, nil] :fin, :reset, or nil when it is still open
  def wait_for_end(within: Deadline::SECONDS)
    deadline = Deadline.in(within)
    loop do
      @buffer.clear
      fill(deadline)
    end
  rescue Ended
    @ending
  rescue Expired
    nil
  end

  # Writes until the peer takes nothing more for `quiet` seconds.
  # @return [Integer] bytes that went
  def write_until_blocked(limit:, quiet: 0.5, block: "x" * 65_536)
    sent = 0
    while sent < limit
      written = @io.write_nonblock(block, exception: false)
      next sent += written if written.is_a?(Integer)
      break unless @io.to_io.wait_writable(quiet)
    end
    sent
  end

  def close
    @io.close
  rescue IOError, SystemCallError, OpenSSL::SSL::SSLError
    nil
  end

  # Ends the connection with RST, and for TLS without close_notify.
  def reset
    socket = @io.to_io
    socket.setsockopt(Socket::SOL_SOCKET, Socket::SO_LINGER, [1, 0].pack("ii"))
    socket.close
  rescue IOError, SystemCallError
    nil
  end

  def closed?
    @io.closed?
  end

  private

  def take(count)
    @buffer.slice!(0, count)
  end

  # Waits for more bytes and appends them to the buffer.
  def fill(deadline)
    raise Ended, "the connection had ended (#{@ending})" if @ending

    append(read_within(deadline))
  rescue EOFError
    ended(:fin)
  rescue Errno::ECONNRESET, Errno::EPIPE, OpenSSL::SSL::SSLError
    ended(:reset)
  end

  def append(bytes)
    @received += bytes.bytesize
    @buffer << bytes
  end

  def read_within(deadline)
    loop do
      case (bytes = @io.read_nonblock(READ_SIZE, exception: false))
      when :wait_readable then wait(:wait_readable, deadline)
      when :wait_writable then wait(:wait_writable, deadline)
      when nil then raise EOFError
      else return bytes
      end
    end
  end

  def wait(direction, deadline)
    return if @io.to_io.public_send(direction, deadline.remaining)

    raise Expired, "nothing came within #{deadline}; so far #{@buffer.bytesize} bytes: " \
                   "#{@buffer.byteslice(0, 200).inspect}"
  end

  def ended(how)
    @ending = how
    raise Ended, "the connection ended (#{how}) after #{@buffer.byteslice(0, 200).inspect}"
  end
end
