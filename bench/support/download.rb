# frozen_string_literal: true

require "socket"
require "zlib"

module Bench
  # A client that reads /bytes/SIZE, and checks that it is what the upstream sends.
  class Download
    PIECE = 256 * 1024
    private_constant :PIECE

    # @param size [Integer]
    def initialize(size)
      @size = size
      @expected = 0
      Upstream.each_part(size) { |part| @expected = Zlib.crc32(part, @expected) }
    end

    # @param port [Integer]
    # @return [Float] seconds
    # @raise [RuntimeError] if other bytes came
    def run(port)
      began = now
      socket = TCPSocket.new("127.0.0.1", port)
      socket.write("GET /bytes/#{@size} HTTP/1.1\r\nHost: bench.test\r\n\r\n")
      nil until socket.gets == "\r\n"
      raise "other bytes came than were sent" unless digest(socket) == @expected

      now - began
    ensure
      socket&.close
    end

    private

    def digest(socket)
      buffer = +""
      left = @size
      crc = 0
      while left.positive?
        socket.readpartial([left, PIECE].min, buffer)
        crc = Zlib.crc32(buffer, crc)
        left -= buffer.bytesize
      end
      crc
    end

    def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end
end
