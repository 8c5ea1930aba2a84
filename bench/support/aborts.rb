# frozen_string_literal: true

require "socket"

module Bench
  # Clients whose responses end early: they leave, with FIN or reset and at some moment, or read
  # until the upstream has left.
  class Aborts
    TOGETHER = 50
    RESET = [1, 0].pack("ii")
    private_constant :TOGETHER, :RESET

    # @param port [Integer]
    # @param paths [Array<String>] which are asked in turns
    # @param upgrade [Boolean] whether they ask for a tunnel
    # @param waiting [Boolean] whether the upstream leaves
    def initialize(port, paths, upgrade: false, waiting: false)
      @port = port
      @paths = paths.cycle
      @fields = upgrade ? "Connection: Upgrade\r\nUpgrade: websocket" : "Connection: close"
      @waiting = waiting
    end

    # Some at the same time, until there were so many.
    def run(count)
      (0...count).each_slice(TOGETHER) do |numbers|
        clients = numbers.map { |number| [number, ask] }
        clients.each { |number, socket| leave(number, socket) }
      end
    end

    private

    def ask
      Socket.tcp("127.0.0.1", @port).tap do |socket|
        socket.write("GET #{@paths.next} HTTP/1.1\r\nHost: bench.test\r\n#{@fields}\r\n\r\n")
      end
    end

    # Every third waits for something, if it is to come, and every second resets.
    def leave(number, socket)
      if @waiting then read(socket)
      elsif (number % 3).zero? then socket.wait_readable(0.01)
      end
      socket.setsockopt(Socket::SOL_SOCKET, Socket::SO_LINGER, RESET) if number.odd?
      socket.close
    end

    def read(socket)
      socket.read
    rescue Errno::ECONNRESET
      nil # as it should be
    end
  end
end
