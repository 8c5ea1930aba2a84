# frozen_string_literal: true

require "socket"

module Bench
  # How long each of many calls took.
  class Times
    # @param count [Integer]
    # @return [Times] of a block that is called so often
    def self.of(count)
      new(Array.new(count) do
        began = now
        yield
        now - began
      end)
    end

    # Asks on a connection of its own.
    def self.get(port, path)
      socket = Socket.tcp("127.0.0.1", port)
      socket.write("GET #{path} HTTP/1.1\r\nHost: bench.test\r\nConnection: close\r\n\r\n")
      socket.read
    ensure
      socket&.close
    end

    def self.now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    private_class_method :now

    # @param seconds [Array<Float>]
    def initialize(seconds)
      @sorted = seconds.sort
    end

    # @param part [Float] such as 0.99
    # @return [Float] seconds in which that part of the calls was done
    def quantile(part) = @sorted[((@sorted.size - 1) * part).round]

    # @return [String] of the 99 % quantiles
    def ratio(other) = format("%.2f", quantile(0.99) / other.quantile(0.99))

    def to_s
      format("p50 %<half>.2f ms  p99 %<most>.2f ms", half: quantile(0.5) * 1000,
                                                     most: quantile(0.99) * 1000)
    end
  end
end
