# frozen_string_literal: true

require "socket"

module Streamer
  # A body whose chunks are made and sent at their times: the first at once, each next one `every`
  # seconds later. Times count from the start, so that delays do not add up.
  class Paced
    # @return [Float] the clock that chunks are stamped with
    def self.now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end

    # @param count [Integer] how many chunks
    # @param every [Float] seconds between them
    # @param socket [#setsockopt, nil] the client's socket, where the server corks it
    # @yieldparam number [Integer] which chunk to make, from 1 on
    def initialize(count, every, socket, &chunk)
      @count = count
      @every = every
      @socket = socket
      @chunk = chunk
    end

    def each
      start = Paced.now
      @count.times do |done|
        sleep([start + (done * @every) - Paced.now, 0].max)
        yield @chunk.call(done + 1)
        push
      end
    end

    private

    # Puma holds TCP_CORK until the body ends, which keeps a small chunk back for up to 200 ms.
    # TCP_NODELAY sends what waits and leaves the cork in place.
    def push
      @socket.setsockopt(Socket::IPPROTO_TCP, Socket::TCP_NODELAY, 1) if @socket.is_a?(TCPSocket)
    rescue SystemCallError
      nil # the client has gone; the next write says so
    end
  end
end
