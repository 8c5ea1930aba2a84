# frozen_string_literal: true

require "socket"
require "openssl"

# A scripted TCP server in threads of the spec process. The block is the script of one connection;
# when it returns, the connection is closed with FIN. `connections` and `requests` are what came,
# `wait_for_connection` and `wait_for_request` await the next of each as an event.
class RawUpstream
  attr_reader :port, :connections, :requests

  # An upstream that answers every request of every connection with the block's answer.
  def self.serving(**options, &answer)
    new(**options) { |connection| connection.serve(&answer) }
  end

  # @param socket [String, nil] path of a Unix socket to listen on instead
  def initialize(host: "127.0.0.1", tls: nil, socket: nil, &script)
    @host = host
    @tls = tls
    @script = script
    @server = socket ? UNIXServer.new(socket) : TCPServer.new(host, 0)
    @port = @server.addr[1] unless socket
    @connections = []
    @requests = []
    @accepted = EventQueue.new("connection to the upstream")
    @heads = EventQueue.new("request at the upstream")
    @threads = [Thread.new { accept_all }]
  end

  def url(path = "/", credentials: nil)
    authority = @host.include?(":") ? "[#{@host}]:#{port}" : "#{@host}:#{port}"
    authority = "#{credentials}@#{authority}" if credentials
    "#{@tls ? "https" : "http"}://#{authority}#{path}"
  end

  def authority
    "#{@host}:#{port}"
  end

  # @return [UpstreamConnection] the next accepted connection
  def wait_for_connection(within: Deadline::SECONDS)
    @accepted.pop(within:)
  end

  # @return [RawHead] the next request head, of whatever connection
  def wait_for_request(within: Deadline::SECONDS)
    @heads.pop(within:)
  end

  # What a script raised by itself (not because its connection was taken away).
  def failures
    @connections.filter_map(&:failure)
  end

  def stop
    return if @stopped

    @stopped = true
    @server.close
    @connections.dup.each(&:close)
    @threads.dup.each { |thread| thread.join(2) || thread.kill.join(2) }
  end

  private

  def accept_all
    loop do
      socket = @server.accept
      socket.setsockopt(Socket::IPPROTO_TCP, Socket::TCP_NODELAY, 1) if socket.is_a?(TCPSocket)
      @threads << Thread.new { converse(socket) }
    end
  rescue IOError, SystemCallError
    nil
  end

  def converse(socket)
    connection = UpstreamConnection.new(secured(socket), on_request: method(:record))
    @connections << connection
    @accepted << connection
    @script&.call(connection)
  rescue RawSocket::Ended, IOError, SystemCallError, OpenSSL::SSL::SSLError
    nil # the proxy left, or the upstream was stopped
  rescue StandardError => e
    connection ? connection.failure = e : raise
  ensure
    (connection || socket).close
  end

  def secured(socket)
    return socket unless @tls

    OpenSSL::SSL::SSLSocket.new(socket, @tls).tap do |secure|
      secure.sync_close = true
      secure.accept
    end
  end

  def record(head)
    @requests << head
    @heads << head
  end
end
