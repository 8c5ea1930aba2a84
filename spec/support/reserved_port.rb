# frozen_string_literal: true

require "socket"

# A loopback port that nobody is given by chance, for a server that is told its port, or for nobody.
# It is bound but not listened on: connecting to it is refused, the kernel chooses it for no other
# socket, and a server that sets SO_REUSEADDR, as all do, can listen on it beside this.
class ReservedPort
  def initialize
    @socket = Socket.new(:INET, :STREAM)
    @socket.setsockopt(:SOCKET, :REUSEADDR, true)
    @socket.bind(Addrinfo.tcp("127.0.0.1", 0))
  end

  # @return [Integer]
  def number
    @number ||= @socket.local_address.ip_port
  end

  def close
    @socket.close
  end
end
