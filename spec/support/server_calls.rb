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
  # @return [Outcome]
  def outcome(client, begun: nil)
    begun ? finish(client, begun) : finish(client.tap { |one| one.read_head(within: 10) }, +"")
  rescue RawSocket::Ended
    Outcome.new(nil, "", client.ending, false)
  end

  private

  def finish(client, body)
    head = client.head
    if head.chunked?
      chunked_outcome(client, body)
    elsif head.content_length
      body += client.read_exactly(head.content_length - body.bytesize, within: 10)
      Outcome.new(head, body, nil, true)
    else
      rest, ending = client.read_to_end(within: 10)
      Outcome.new(head, body + rest, ending, ending == :fin)
    end
  rescue RawSocket::Ended
    rest, ending = client.read_to_end
    Outcome.new(head, body + rest, ending, false)
  end

  def chunked_outcome(client, body)
    while (chunk = client.read_chunk(within: 10))
      body += chunk
    end
    Outcome.new(client.head, body, nil, true)
  rescue RawSocket::Ended
    rest, ending = client.read_to_end
    Outcome.new(client.head, body + rest, ending, false)
  end
end
