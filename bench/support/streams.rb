# frozen_string_literal: true

require "socket"

module Bench
  # Many clients of endless responses, read by one process of their own, or not at all.
  class Streams
    # @return [Streams] once each has been asked for
    def self.open(port, path, count, reading: true, upgrade: false)
      fields = upgrade ? "Connection: Upgrade\r\nUpgrade: websocket\r\n" : ""
      new(port, "GET #{path} HTTP/1.1\r\nHost: bench.test\r\n#{fields}\r\n", count, reading)
    end

    # @return [Hash] `least` and `most` events of one stream
    attr_reader :spread

    def initialize(port, request, count, reading)
      @process = IO.popen("-", "r+")
      @process ? hear : ask(port, request, count, reading)
    end

    # Waits until each has had so many events.
    def await_events(count)
      Timeout.timeout(120) { hear until @spread[:least] >= count }
    end

    # Ends the process.
    def close = @process.close

    private

    def hear
      @spread = %i[least most].zip(@process.readline.split.map(&:to_i)).to_h
    end

    def ask(port, request, count, reading)
      sockets = Array.new(count) { Socket.tcp("127.0.0.1", port).tap { _1.write(request) } }
      $stdout.sync = true
      puts "0 0"
      reading ? read(sockets) : $stdin.read
    ensure
      exit!
    end

    # Tells when each has had one more, until it is to end.
    def read(sockets)
      buffer = +""
      events = sockets.to_h { |socket| [socket, 0] }
      told = 0
      until (readable = IO.select([$stdin, *sockets]).first).include?($stdin)
        readable.each do |socket|
          socket.read_nonblock(65_536, buffer)
          events[socket] += buffer.scan("data:").size
        end
        least, most = events.values.minmax
        puts "#{told = least} #{most}" if least > told
      end
    end
  end
end
