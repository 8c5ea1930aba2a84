# frozen_string_literal: true

require "socket"

# Calls a proxy in the spec process as a server would that hands its client's socket over.
module HijackedCalls
  PARTIAL = { "rack.hijack?" => true,
              "rack.hijack" => -> { raise "a full hijack" } }.freeze

  # What ends a thread's work from outside, as a server's or a timeout's.
  class Interruption < Exception; end # rubocop:disable Lint/InheritException

  # @return [Hash] of a server that hands this over
  def handing(io)
    { "rack.hijack?" => true, "rack.hijack" => -> { io } }
  end

  # @return [Hash] of a server whose socket comes together with what interrupts the thread
  def handing_interrupted(io)
    thread = Thread.current
    hijack = lambda do
      Thread.new { thread.raise(Interruption) }.join
      io
    end
    handing(io).merge("rack.hijack" => hijack)
  end

  # @return [Array<UNIXSocket>] the server's end and the client's
  def socket_pair
    UNIXSocket.pair.map { |socket| closing(socket) }
  end

  # The same over TCP, where a reset can be seen.
  # @return [Array(TCPSocket, RawSocket)]
  def connection_pair
    listener = TCPServer.new("127.0.0.1", 0)
    client = TCPSocket.new("127.0.0.1", listener.local_address.ip_port)
    [closing(listener.accept), closing(RawSocket.new(client))]
  ensure
    listener&.close
  end

  # @return [Array(Integer, Hash, #each)] as the server gets it
  def answer_offered(app, env = {})
    app.call(env_for("/", PARTIAL.merge(env)))
  end

  # Gives the client's socket to an answer that asks for it, as the server would behind the head.
  # @param io [Object] what the server has it in
  def hand_over(answer, io)
    answer[1].fetch("rack.hijack").call(io)
  end

  # @return [Boolean] whether this answer asks for the client's socket
  def offers_hijack?(answer)
    answer[1].key?("rack.hijack")
  end
end
