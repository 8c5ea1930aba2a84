# frozen_string_literal: true

# A WebSocket server on a port of the loopback interface that sends back what it gets. The
# WebSocket is websocket-driver's, Action Cable's own; given a certificate's and a key's file, it
# speaks TLS. The path says what else a connection does: /greeting speaks first, /closing closes,
# /leaving ends without a close frame, /resetting resets, each at its first message.

require "openssl"
require "socket"
require "zlib"
require "websocket/driver"

# permessage-deflate (RFC 7692) that keeps nothing from one message to the next, as an extension and
# its session.
class Deflate
  TAIL = "\x00\x00\xFF\xFF".b

  def name = "permessage-deflate"
  def type = "permessage"
  def rsv1 = true
  def rsv2 = false
  def rsv3 = false
  def create_server_session(_offers) = self
  def close = nil

  def generate_response
    { "server_no_context_takeover" => true, "client_no_context_takeover" => true }
  end

  def process_incoming_message(message)
    return message unless message.rsv1

    inflater = Zlib::Inflate.new(-Zlib::MAX_WBITS)
    message.data = inflater.inflate(message.data + TAIL)
    message
  end

  def process_outgoing_message(message)
    deflater = Zlib::Deflate.new(Zlib::DEFAULT_COMPRESSION, -Zlib::MAX_WBITS)
    message.data = deflater.deflate(message.data, Zlib::SYNC_FLUSH).delete_suffix(TAIL)
    message.rsv1 = true
    message
  end
end

# One connection, on a thread of its own.
class Connection
  LARGEST = 16 << 20

  # @return [Hash{String => String}] of the request, for the driver
  attr_reader :env

  def initialize(io)
    @io = io
    @env = read_request
    @driver = WebSocket::Driver.rack(self, max_length: LARGEST, protocols: ["chat"])
    @driver.add_extension(Deflate.new)
    @driver.on(:message) { |event| answer(event.data) }
    @driver.on(:close) { @over = true }
  end

  def run
    greet
    @driver.parse(@io.readpartial(1 << 18)) until @over
    finish
  rescue EOFError
    finish
  ensure
    @io.close
  end

  # The driver writes to this.
  def write(bytes) = @io.write(bytes)

  private

  # Older drivers lose what comes in one piece with the request.
  def read_request
    @path = @io.gets.split[1]
    lines = []
    lines << @io.gets until lines.last == "\r\n"
    fields = lines[0..-2].to_h { |line| line.chomp.split(": ", 2) }
    fields.transform_keys { |name| "HTTP_#{name.upcase.tr("-", "_")}" }
          .merge("REQUEST_METHOD" => "GET")
  end

  def greet
    @driver.start
    return unless @path == "/greeting"

    @driver.text("welcome")
    @driver.ping("still there?")
  end

  def answer(data)
    case @path
    when "/closing" then @driver.close("enough", 3000)
    when "/leaving" then @over = true
    when "/resetting" then reset
    else echo(data)
    end
  end

  # Older drivers give binary data as an Array, and take seconds to send the largest.
  def echo(data)
    text = data.is_a?(String) && data.encoding == Encoding::UTF_8
    data = data.pack("C*") if data.is_a?(Array)
    return text ? @driver.text(data) : @driver.binary(data.bytes) if data.bytesize <= 1 << 20

    @io.write([text ? 0x81 : 0x82, 127, data.bytesize].pack("CCQ>"), data)
  end

  def reset
    @io.setsockopt(Socket::SOL_SOCKET, Socket::SO_LINGER, [1, 0].pack("ii"))
    @io.close
    Thread.exit
  end

  # What nobody has read would make a reset of the end.
  def finish
    return unless @io.is_a?(TCPSocket)

    @io.close_write
    IO.copy_stream(@io, IO::NULL)
  end
end

certificate, key = ARGV.map { |file| File.read(file) }
listener = TCPServer.new("127.0.0.1", 0)
puts "Listening on 127.0.0.1:#{listener.local_address.ip_port}"
$stdout.flush
if certificate
  context = OpenSSL::SSL::SSLContext.new
  context.add_certificate(OpenSSL::X509::Certificate.new(certificate), OpenSSL::PKey.read(key))
  listener = OpenSSL::SSL::SSLServer.new(listener, context)
end
loop do
  socket = listener.accept
  socket.to_io.setsockopt(Socket::IPPROTO_TCP, Socket::TCP_NODELAY, 1)
  Thread.new { Connection.new(socket).run }
end
