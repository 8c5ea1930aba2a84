# frozen_string_literal: true

require "zlib"

# An upstream that sends event n + 1 only when told that the client has seen event n, so that
# nothing in between can hold one back.
module Lockstep
  EVENTS = 20
  BODY = Array.new(EVENTS) { |number| "event #{number};" }.join.freeze

  # What stands around the events, by how the body ends.
  FRAMINGS = {
    "in chunks" => {
      begin_with: "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n",
      event: ->(number) { ChunkedBody.encode("event #{number};", finish: false) },
      finish: "0\r\n\r\n"
    },
    "with a length" => {
      begin_with: "Content-Type: application/octet-stream\r\nContent-Length: #{BODY.bytesize}\r\n",
      event: ->(number) { "event #{number};" }
    },
    "to the end of the connection" => {
      begin_with: "Content-Type: text/plain\r\n", event: ->(number) { "event #{number};" }
    }
  }.freeze

  # @param framing [String] of FRAMINGS
  # @return [RawUpstream]
  def lockstep_upstream(framing)
    script = FRAMINGS.fetch(framing)
    @sent = EventQueue.new("event of the upstream")
    @acknowledged = EventQueue.new("acknowledgement of the client")
    start_upstream do |connection|
      connection.read_head
      connection.write("HTTP/1.1 200 OK\r\n#{script[:begin_with]}\r\n")
      EVENTS.times { |number| send_event(connection, script[:event].call(number)) }
      connection.write(script[:finish].to_s)
    end
  end

  # Reads all events, decoding them as the head says.
  # @param client [RawClient] which has read the head
  # @return [Array<Float>] for each event the seconds from the upstream's write to the client's read
  def gaps_of_events(client)
    gzip = Zlib::Inflate.new(Zlib::MAX_WBITS + 16) if client.head["Content-Encoding"] == "gzip"
    Array.new(EVENTS) do |number|
      expect(next_event(client, gzip)).to eq("event #{number};")
      gap = Deadline.now - @sent.pop
      @acknowledged << number
      gap
    end
  end

  private

  def send_event(connection, bytes)
    @sent << Deadline.now
    connection.write(bytes)
    @acknowledged.pop
  end

  def next_event(client, gzip)
    event = +""
    deadline = Deadline.new(Deadline::SECONDS)
    until event.end_with?(";")
      piece = client.read_chunk(within: deadline)
      event << (gzip ? gzip.inflate(piece) : piece)
    end
    event
  end
end
