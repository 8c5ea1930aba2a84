# frozen_string_literal: true

require_relative "connection"

module Rack
  module StreamingProxy
    module Testing
      # The upstream of one stubbed exchange: listens at a loopback port of its own, and works only
      # while the exchange's reader waits, in its thread. There is no other thread, so that a stub's
      # block and body run where the test would expect it.
      # @api private
      class Upstream
        # @param url [String] that it stands for
        # @param eager [Boolean] see {Connection}
        # @yieldparam request [Testing::Request]
        # @yieldreturn [Array(Integer, Hash, #each)]
        def initialize(url, eager:, &answer)
          @listener = ::TCPServer.new("127.0.0.1", 0)
          @url = url
          @eager = eager
          @answer = answer
        end

        # @return [Integer]
        def port = @listener.local_address.ip_port

        # Waits for the engine and serves it; returns when the bell has rung.
        #
        # @param bell [IO]
        def serve(bell)
          loop do
            readable, writable = ::IO.select([bell, *sockets], pending)
            return if readable.include?(bell)

            work(readable, writable)
          end
        end

        # Sends the next piece of the body if the last one has come out of the proxy.
        #
        # @param received [Integer] bytes of the body that have
        def proceed(received)
          @connection&.proceed(received)
        end

        # Breaks everything off; idempotent.
        def close
          @connection&.close
          @listener.close
        end

        private

        def sockets = [@listener, *live]

        # A retry comes on a connection of its own.
        def live = [*@connection].reject(&:closed?).map(&:socket)

        def pending = (live if @connection&.pending?)

        def work(readable, writable)
          accept if readable.include?(@listener)
          return if live.empty?

          @connection.write if writable.include?(@connection.socket)
          @connection.read if readable.include?(@connection.socket)
        end

        def accept
          socket = @listener.accept_nonblock(exception: false)
          return unless socket.is_a?(::TCPSocket)

          socket.setsockopt(::Socket::IPPROTO_TCP, ::Socket::TCP_NODELAY, 1)
          @connection&.close
          @connection = Connection.new(socket, @url, eager: @eager, &@answer)
        end
      end
    end
  end
end
