# frozen_string_literal: true

require "io/wait"
require "socket"
require_relative "clock"

module Demo
  # One HTTP/1.1 request and its response over a plain socket, because an HTTP library may read
  # ahead, wait for full buffers or take a cut response for a whole one. This one notes when bytes
  # came, hands them on at once and raises when the response does not end as its framing says.
  class Exchange
    # What makes a response unusable; the message says how far it came.
    class Failure < StandardError
    end

    PATIENCE = 20
    PIECE = 256 * 1024
    HEAD_LIMIT = 64 * 1024

    # @return [Float] when the bytes came that were handed on last
    attr_reader :arrived
    # @return [Float] when the request was begun
    attr_reader :began
    # @return [Integer]
    attr_reader :status
    # @return [Hash{String => String}] by lower-case name
    attr_reader :headers

    # Sends the request, reads the head, yields the exchange and closes the connection. May block.
    #
    # @param server [Server]
    # @param target [String] method and path, such as "GET /sse"
    # @param upload [String, nil] the request's body
    # @raise [Failure]
    def self.open(server, target, upload = nil)
      exchange = new(server.port, target, upload)
      exchange.await_head
      yield exchange
    ensure
      exchange&.close
    end

    def initialize(port, target, upload)
      @began = Clock.now
      @buffer = String.new
      @came = 0
      @socket = Socket.tcp("127.0.0.1", port, connect_timeout: PATIENCE)
      @unsent = request(target, port, upload)
    end

    # Sends the request and reads the response's head. May block.
    #
    # @raise [Failure] unless it is a 200
    def await_head
      until (at = @buffer.index("\r\n\r\n"))
        raise Failure, "the response's head does not end" if @buffer.bytesize > HEAD_LIMIT

        fill("before the response's head was complete")
      end
      parse_head(@buffer.slice!(0, at + 4).split("\r\n"))
      raise Failure, "status #{status}: #{@buffer[0, 200].inspect}" unless status == 200
    end

    # @yieldparam piece [String] some bytes of the body, as soon as they are here
    # @raise [Failure] when the body ends before its framing says so
    def each_piece(&block)
      length = headers["content-length"].to_s[/\A\d+\z/]
      if headers["transfer-encoding"] == "chunked"
        nil while read_chunk(&block)
      elsif length
        read_exactly(length.to_i, &block)
      else
        raise Failure, "neither Content-Length nor chunks: the end could not be told from a cut"
      end
    end

    def close
      @socket&.close
    end

    private

    def request(target, port, upload)
      head = "#{target} HTTP/1.1\r\nHost: 127.0.0.1:#{port}\r\nAccept-Encoding: identity\r\n" \
             "Connection: close\r\n"
      return "#{head}\r\n" unless upload

      "#{head}Content-Type: application/octet-stream\r\n" \
        "Content-Length: #{upload.bytesize}\r\n\r\n".b << upload
    end

    def parse_head(lines)
      @status = lines.shift.to_s[%r{\AHTTP/1\.1 (\d{3})}, 1].to_i
      @headers = lines.to_h do |line|
        name, _, value = line.partition(":")
        [name.downcase, value.strip]
      end
    end

    def read_chunk(&block)
      size = line[/\A\h+/]&.hex
      raise Failure, "the chunks are malformed after #{@came} bytes" unless size

      read_exactly(size, &block)
      raise Failure, "a chunk is not as long as it says" unless line.empty?

      size.positive?
    end

    def line
      fill("after #{@came} bytes, without the last chunk") until @buffer["\r\n"]
      @buffer.slice!(0, @buffer.index("\r\n") + 2).chomp
    end

    def read_exactly(size)
      while size.positive?
        fill("after #{@came} bytes, #{size} before the end") if @buffer.empty?
        piece = @buffer.slice!(0, size)
        size -= piece.bytesize
        @came += piece.bytesize
        yield piece
      end
    end

    # Waits for bytes and takes all there are; sends what is left of the upload meanwhile.
    def fill(place)
      loop do
        readable, writable = IO.select([@socket], @unsent && [@socket], nil, PATIENCE)
        raise Failure, "nothing came for #{PATIENCE} s #{place}" unless readable

        send_some if writable.any?
        next unless readable.any? && (bytes = receive)

        @buffer << bytes
        return @arrived = Clock.now
      end
    rescue EOFError, Errno::ECONNRESET, Errno::EPIPE => e
      raise Failure, "cut short #{place} (#{e.class})"
    end

    def receive
      bytes = @socket.read_nonblock(PIECE, exception: false)
      raise EOFError unless bytes

      bytes unless bytes == :wait_readable
    end

    def send_some
      sent = @socket.write_nonblock(@unsent.byteslice(0, PIECE), exception: false)
      return if sent == :wait_writable

      @unsent = sent < @unsent.bytesize ? @unsent.byteslice(sent..) : nil
    end
  end
end
