# frozen_string_literal: true

require "openssl"

# What a scripted upstream holds of one connection: it reads requests and writes answers, whole or
# piece by piece, and keeps every request it has read.
class UpstreamConnection < RawSocket
  # A request read whole.
  Request = Struct.new(:head, :body) do
    def [](name)
      head[name]
    end
  end

  attr_reader :heads, :requests
  attr_accessor :failure

  def initialize(io, on_request: nil)
    super(io)
    @heads = []
    @requests = []
    @on_request = on_request
  end

  # @return [RawHead] request line and header lines, raw
  def read_head(within: Deadline::SECONDS)
    head = RawHead.new(read_until("\r\n\r\n", within:))
    @heads << head
    @on_request&.call(head)
    head
  end

  def read_body(count, within: Deadline::SECONDS)
    read_exactly(count, within:)
  end

  # @return [String] the decoded body; Ended when the last chunk never comes
  def read_chunked(within: Deadline::SECONDS)
    deadline = Deadline.in(within)
    data = String.new(encoding: Encoding::BINARY)
    while (size = read_until("\r\n", within: deadline).hex).positive?
      data << read_exactly(size, within: deadline)
      read_exactly(2, within: deadline)
    end
    read_until("\r\n", within: deadline)
    data
  end

  # @return [Request] head and body, read as its framing says
  def read_request(within: Deadline::SECONDS)
    head = read_head(within:)
    body = head.chunked? ? read_chunked(within:) : read_exactly(head.content_length.to_i)
    Request.new(head, body).tap { |request| @requests << request }
  end

  # Answers request after request on this connection until the peer ends it.
  # @yieldreturn [Array(Integer, Hash, String), String] an answer, or raw bytes
  def serve(within: 60)
    loop do
      answer = yield(read_request(within:))
      answer.is_a?(String) ? write(answer) : respond(*answer)
    end
  rescue Ended
    nil
  end

  def respond(status = 200, headers = {}, body = "")
    write("#{start(status, { "Content-Length" => body.bytesize }.merge(headers))}#{body}")
  end

  # Writes a head for a body that follows in chunks.
  def begin_chunked(status = 200, headers = {})
    write(start(status, headers.merge("Transfer-Encoding" => "chunked")))
  end

  def chunk(data)
    write(ChunkedBody.encode(data, finish: false))
  end

  def end_chunked
    write("0\r\n\r\n")
  end

  private

  def start(status, headers)
    lines = headers.flat_map { |name, value| Array(value).map { |one| "#{name}: #{one}\r\n" } }
    "HTTP/1.1 #{status} Scripted\r\n#{lines.join}\r\n"
  end
end
