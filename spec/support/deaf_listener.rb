# frozen_string_literal: true

require "socket"

# A loopback port whose accept queue is full and is never emptied: connecting to it hangs.
class DeafListener
  attr_reader :port

  def initialize
    @server = Socket.new(:INET, :STREAM)
    @server.bind(Addrinfo.tcp("127.0.0.1", 0))
    @server.listen(0)
    @port = @server.local_address.ip_port
    @waiting = []
    fill
  end

  def url(path = "/")
    "http://127.0.0.1:#{port}#{path}"
  end

  def stop
    @waiting.each(&:close)
    @server.close
  end

  private

  # Connections are taken until one does not complete any more.
  def fill
    10.times do
      socket = Socket.new(:INET, :STREAM)
      @waiting << socket
      socket.connect_nonblock(@server.local_address, exception: false)
      return unless socket.wait_writable(0.2)
    end
    raise "the accept queue of port #{port} does not fill up"
  end
end
