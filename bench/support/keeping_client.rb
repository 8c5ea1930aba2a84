# frozen_string_literal: true

require "socket"

module Bench
  # A client that uses its connection again if the server lets it.
  class KeepingClient
    # @param port [Integer]
    def initialize(port)
      @port = port
      @buffer = +""
    end

    # @param path [String]
    # @param size [Integer] of the body that is to come
    # @raise [RuntimeError] if it has another length
    def get(path, size)
      @socket ||= TCPSocket.new("127.0.0.1", @port)
      @socket.write("GET #{path} HTTP/1.1\r\nHost: bench.test\r\n\r\n")
      closing = head(size)
      skip(size)
      close if closing
    end

    def close
      @socket&.close
      @socket = nil
    end

    private

    # @return [Boolean] whether the connection ends with the response
    def head(size)
      lines = []
      lines << @socket.gets until lines.last == "\r\n"
      raise "another response came: #{lines.first}" unless
        lines.any? { |line| line.match?(/\Acontent-length: #{size}\r/i) }

      lines.any? { |line| line.match?(/\Aconnection: close\r/i) }
    end

    def skip(size)
      size -= @socket.readpartial([size, 65_536].min, @buffer).bytesize while size.positive?
    end
  end
end
