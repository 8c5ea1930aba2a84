# frozen_string_literal: true

require "socket"

# A client that writes and reads raw HTTP/1 over a TCP port or a Unix socket.
class RawClient < RawSocket
  # A response read to the end of the connection or of its own framing.
  Response = Struct.new(:head, :body, :ending, :complete) do
    def status
      head.status
    end

    def complete?
      complete
    end
  end

  # @return [RawHead] the last that was read
  attr_reader :head

  # @param address [Integer, String, BasicSocket] a loopback port, the path of a Unix socket, or a
  #   socket that is connected
  def initialize(address)
    super(connected(address))
    @io.setsockopt(Socket::IPPROTO_TCP, Socket::TCP_NODELAY, 1) if address.is_a?(Integer)
  end

  # Opens, yields and closes.
  def self.open(address)
    client = new(address)
    yield client
  ensure
    client&.close
  end

  def request(verb, path = "/", headers = {}, body = nil, version: "1.1")
    lines = { "Host" => "client.test" }.merge(headers)
    lines = lines.merge("Content-Length" => body.bytesize) if body && !lines.key?("Content-Length")
    head = lines.compact.map { |name, value| "#{name}: #{value}\r\n" }.join
    write("#{verb} #{path} HTTP/#{version}\r\n#{head}\r\n#{body}")
  end

  def get(path = "/", headers = {}, version: "1.1")
    request("GET", path, headers, version:)
  end

  # @return [RawHead]
  def read_head(within: Deadline::SECONDS)
    @head = RawHead.new(read_until("\r\n\r\n", within:))
  end

  # Reads one piece of the body: a chunk when the response is chunked, else whatever is here.
  # @return [String, nil] nil after the last chunk
  def read_chunk(within: Deadline::SECONDS)
    return read_some(within:) unless @head.chunked?

    deadline = Deadline.in(within)
    size = read_until("\r\n", within: deadline).hex
    chunk = read_exactly(size, within: deadline)
    read_exactly(2, within: deadline)
    size.zero? ? nil : chunk
  end

  # Reads a whole response by its own framing, or to the end of the connection.
  def read_response(within: 5, bodyless: false)
    deadline = Deadline.in(within)
    head = read_head(within: deadline)
    return Response.new(head, "", nil, true) if bodyless

    head.chunked? ? chunked_response(head, deadline) : plain_response(head, deadline)
  end

  # Reads and counts bytes to the end without keeping them.
  # @return [Integer]
  def drain(within: 60)
    before = received - @buffer.bytesize
    wait_for_end(within:) or raise Expired, "the response did not end within #{within} s"
    received - before
  end

  private

  def connected(address)
    case address
    when Integer then TCPSocket.new("127.0.0.1", address)
    when String then UNIXSocket.new(address)
    else address
    end
  end

  def chunked_response(head, deadline)
    body = +""
    while (chunk = read_chunk(within: deadline))
      body << chunk
    end
    Response.new(head, body, nil, true)
  rescue Ended
    Response.new(head, body, ending, false)
  end

  def plain_response(head, deadline)
    return Response.new(head, read_exactly(head.content_length, within: deadline), nil, true) if
      head.content_length

    body, how = read_to_end(within: deadline)
    Response.new(head, body, how, how == :fin)
  rescue Ended
    rest, = read_to_end(within: deadline)
    Response.new(head, rest, ending, false)
  end
end
