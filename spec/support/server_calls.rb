# frozen_string_literal: true

# How the behaviours of spec/servers talk to the server under test (@server), whose config.ru is
# RackupText.proxy_to_ports.
module ServerCalls
  # What a client can know of a response: nil for a head or status that never came; `whole` unless
  # its framing, a reset or the missing head tells that something is missing.
  Outcome = Struct.new(:head, :body, :ending, :whole) do
    def status
      head&.status
    end
  end

  # Sends a request to the upstream through the server.
  # @return [RawClient]
  def ask(upstream, verb = "GET", headers = {}, body = nil, version: "1.1")
    client = connect(@server)
    client.request(verb, "/#{upstream.port}/path", headers, body, version:)
    client
  end

  # Reads whatever comes, to the end of the connection or of the response's framing.
  # @param begun [String] of the body, if the head and this much have been read
  # @param within [Numeric] seconds that the next of it may take
  # @return [Outcome]
  def outcome(client, begun: nil, within: 10)
    client.read_head(within:) unless begun
    finish(client, begun || "", within)
  rescue RawSocket::Ended
    Outcome.new(nil, "", client.ending, false)
  end

  private

  def finish(client, body, within)
    head = client.head
    if head.chunked?
      chunked_outcome(client, body, within)
    elsif head.content_length
      body += client.read_exactly(head.content_length - body.bytesize, within:)
      Outcome.new(head, body, nil, true)
    else
      rest, ending = client.read_to_end(within:)
      Outcome.new(head, body + rest, ending, ending == :fin)
    end
  rescue RawSocket::Ended
    rest, ending = client.read_to_end
    Outcome.new(head, body + rest, ending, false)
  end

  def chunked_outcome(client, body, within)
    while (chunk = client.read_chunk(within:))
      body += chunk
    end
    Outcome.new(client.head, body, nil, true)
  rescue RawSocket::Ended
    rest, ending = client.read_to_end
    Outcome.new(client.head, body + rest, ending, false)
  end
end
