# frozen_string_literal: true

require "socket"

module Bench
  # The upstream of the benchmarks, in a process of its own. /bytes/N answers with N bytes of a
  # pattern; /events sends one event a second to all who asked for it, without end; /flood sends as
  # much as is taken, without end. /silent sends nothing, /gone resets without a head, /cut in
  # mid-body; /tunnel changes protocols and echoes, /tunnel/cut resets the tunnel instead.
  class Upstream
    BLOCK = Random.new(1).bytes(1 << 20).freeze
    EVENT = "1c\r\ndata: #{"x" * 20}\n\n\r\n".freeze
    STREAM = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" \
             "Transfer-Encoding: chunked\r\n\r\n"
    FLOOD = "10000\r\n#{BLOCK.byteslice(0, 0x10000)}\r\n".freeze
    SWITCH = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n" \
             "Upgrade: websocket\r\n\r\n"
    ENDS = { "/silent" => [:echo, ""], "/gone" => [:reset, ""],
             "/cut" => [:reset, STREAM + FLOOD],
             "/tunnel" => [:echo, SWITCH], "/tunnel/cut" => [:reset, SWITCH] }.freeze
    private_constant :EVENT, :STREAM, :FLOOD, :SWITCH, :ENDS

    # @param size [Integer]
    # @yieldparam part [String] of what /bytes/SIZE answers
    def self.each_part(size)
      (size >> 20).times { yield BLOCK }
      yield BLOCK.byteslice(0, size & 0xFFFFF) if size & 0xFFFFF != 0
    end

    # @return [Array(Integer, Integer)] port and process
    def self.start
      server = TCPServer.new("127.0.0.1", 0)
      server.listen(4096)
      pid = fork { new(server).run }
      [server.addr[1], pid].tap { server.close }
    end

    def initialize(server)
      @server = server
      @listeners = Queue.new
    end

    def run
      %w[TERM INT].each { |signal| trap(signal) { exit!(0) } }
      Thread.new { tick }
      loop do
        socket = @server.accept
        socket.setsockopt(Socket::IPPROTO_TCP, Socket::TCP_NODELAY, 1)
        Thread.new(socket) { |one| serve(one) }
      end
    end

    private

    def serve(socket)
      while (target = request(socket))
        case target
        when "/events" then break stream(socket)
        when "/flood" then flood(socket)
        when *ENDS.keys then break __send__(*ENDS.fetch(target), socket)
        else answer(socket, target[%r{\A/bytes/(\d+)\z}, 1].to_i)
        end
      end
    rescue SystemCallError, IOError
      socket.close
    end

    def request(socket)
      target = socket.gets&.split&.at(1)
      nil until [nil, "\r\n"].include?(socket.gets)
      target
    end

    def answer(socket, size)
      head = "HTTP/1.1 200 OK\r\nContent-Length: #{size}\r\n\r\n"
      return socket.write(head, BLOCK.byteslice(0, size)) if size < BLOCK.bytesize

      socket.write(head)
      self.class.each_part(size) { |part| socket.write(part) }
    end

    def stream(socket)
      socket.write(STREAM)
      @listeners << socket
    end

    def flood(socket)
      socket.write(STREAM)
      loop { socket.write(FLOOD) }
    end

    # Echoes until the other side ends.
    def echo(head, socket)
      socket.write(head)
      IO.copy_stream(socket, socket)
      socket.close
    end

    def reset(bytes, socket)
      socket.write(bytes)
      socket.setsockopt(Socket::SOL_SOCKET, Socket::SO_LINGER, [1, 0].pack("ii"))
      socket.close
    end

    # No thread for each listener.
    def tick
      open = []
      loop do
        sleep 1
        open << @listeners.pop until @listeners.empty?
        open.select! { |socket| sent?(socket) }
      end
    end

    def sent?(socket)
      socket.write_nonblock(EVENT, exception: false)
      true
    rescue SystemCallError, IOError
      socket.close
      false
    end
  end
end
