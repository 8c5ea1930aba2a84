# frozen_string_literal: true

require "socket"

module Bench
  # Many clients of endless responses, read by one thread or not at all.
  class Streams
    # @return [Streams] once each has been asked for
    def self.open(port, path, count, reading: true, upgrade: false)
      fields = upgrade ? "Connection: Upgrade\r\nUpgrade: websocket\r\n" : ""
      new(port, path, count, reading, fields)
    end

    def initialize(port, path, count, reading, fields)
      @events = Hash.new(0)
      @sockets = Array.new(count) do
        Socket.tcp("127.0.0.1", port).tap do |socket|
          socket.write("GET #{path} HTTP/1.1\r\nHost: bench.test\r\n#{fields}\r\n")
        end
      end
      @reader = Thread.new { read } if reading
    end

    # Waits until each has had so many events.
    def await_events(count)
      Timeout.timeout(120) do
        sleep 0.05 until @sockets.all? { |socket| @events[socket] >= count }
      end
    end

    # @return [Hash] `least` and `most` events of one stream
    def spread = %i[least most].zip(@sockets.map { |socket| @events[socket] }.minmax).to_h

    def close
      @reader&.kill&.join
      @sockets.each(&:close)
    end

    private

    def read
      buffer = +""
      loop do
        readable, = IO.select(@sockets)
        readable.each do |socket|
          socket.read_nonblock(65_536, buffer)
          @events[socket] += buffer.scan("data:").size
        end
      end
    end
  end
end
