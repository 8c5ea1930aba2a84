# frozen_string_literal: true

require "digest/sha2"

# What an upstream answers to the clients of a ServerLoad. A request's path ends with what it asks
# for and its number; the answer carries its body's digest.
class LoadAnswers
  BULK = Random.new(11).bytes(1 << 20)
  EVENTS = 4

  # @return [Hash{Integer => Integer}] how often each request has come
  attr_reader :came

  def initialize
    @came = Hash.new(0)
    @acknowledged = {}
    @mutex = Mutex.new
  end

  # @return [EventQueue] where this request's client says that it has seen an event, or has gone
  def acknowledgements(number)
    @mutex.synchronize { @acknowledged[number] ||= EventQueue.new("acknowledgement") }
  end

  # The script of a connection.
  def serve(connection)
    loop do
      head = connection.read_head(within: 120)
      kind, number = head.target.split("/").last(2)
      @mutex.synchronize { @came[number.to_i] += 1 }
      public_send(kind, connection, number.to_i, head)
    end
  end

  def short(connection, number, *)
    whole(connection, "answer #{number}")
  end

  # Event n + 1 goes out when the client has event n.
  def events(connection, number, *)
    events = Array.new(EVENTS) { |event| "event #{event} of #{number};" }
    connection.begin_chunked(200, digest(events.join))
    events.each do |event|
      connection.chunk(event)
      said = acknowledgements(number).pop(within: 60)
      raise RawSocket::Ended, "the client has gone" if said == :gone
    end
    connection.end_chunked
  end

  def bulk(connection, number, *)
    body = "#{number} #{BULK}"
    return whole(connection, body) if number.even?

    connection.begin_chunked(200, digest(body))
    body.scan(/.{1,65536}/mn) { |piece| connection.chunk(piece) }
    connection.end_chunked
  end

  def upload(connection, _number, head)
    body = connection.read_exactly(head.content_length, within: 60)
    came = Digest::SHA256.hexdigest(body)
    raise "an upload came whole and changed" unless came == head["X-Digest"]

    whole(connection, came)
  end

  # A body without end, for a client that leaves.
  def endless(connection, *)
    connection.begin_chunked
    connection.chunk("first")
    connection.wait_for_end(within: 60) or raise "the client left, and nobody said so"
  end

  private

  def digest(body)
    { "X-Digest" => Digest::SHA256.hexdigest(body) }
  end

  def whole(connection, body)
    connection.respond(200, digest(body), body)
  end
end
