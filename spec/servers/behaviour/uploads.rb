# frozen_string_literal: true

require "digest/sha2"

RSpec.shared_examples "uploads" do |profile|
  # An upstream that reads a request piece by piece and echoes each piece at once.
  def echoing_upstream
    start_upstream do |connection|
      left = connection.read_head.content_length
      connection.begin_chunked
      while left.positive?
        piece = connection.read_some(within: 10)
        left -= piece.bytesize
        connection.chunk(piece)
      end
      connection.end_chunked
      connection.wait_for_end(within: 10)
    end
  end

  def echoed_digest(client)
    expect(client.read_head(within: 30).status).to eq(200)
    came = Digest::SHA256.new
    while (chunk = client.read_chunk(within: 20))
      came << chunk
    end
    came.hexdigest
  rescue RawSocket::Ended
    came.hexdigest
  end

  # An upstream that tells of each piece of a request's body, and says "all" at its end.
  def telling_upstream
    @came = EventQueue.new("piece at the upstream")
    start_upstream do |connection|
      head = connection.read_head
      head.chunked? ? tell_chunks(connection) : 20.times { @came << connection.read_exactly(1000) }
      connection.respond(200, {}, "all")
    end
  end

  def tell_chunks(connection)
    while (size = connection.read_until("\r\n").hex).positive?
      @came << connection.read_exactly(size)
      connection.read_exactly(2)
    end
    connection.read_exactly(2)
  end

  def digesting_upstream
    serving { |request| [200, {}, Digest::SHA256.hexdigest(request.body)] }
  end

  it "are echoed while they go, without deadlock", id: "ST8" do
    block = Random.bytes(1 << 20)
    sent = Digest::SHA256.new
    client = ask(echoing_upstream, "POST", { "Content-Length" => (24 << 20).to_s })
    writer = in_thread { 24.times { client.write(block).then { sent << block } } }
    came = echoed_digest(client)
    expect(writer.join(1)).not_to be_nil
    expect(came).to eq(sent.hexdigest)
  end

  pieces = { "with a length" => [{ "Content-Length" => "20000" }, ->(piece) { piece }, ""],
             "in chunks" => [{ "Transfer-Encoding" => "chunked" },
                             ->(piece) { ChunkedBody.encode(piece, finish: false) }, "0\r\n\r\n"] }
  pieces.each do |framing, (headers, encode, last)|
    next if framing == "in chunks" && !profile.can?(:chunked_uploads)

    if profile.can?(:live_uploads, framing)
      it "stream piece by piece, #{framing}", feature: :live_uploads do
        client = ask(telling_upstream, "POST", headers)
        20.times do |number|
          piece = (97 + number).chr * 1000
          client.write(encode.call(piece))
          expect(@came.pop(within: 5)).to eq(piece)
        end
        client.write(last)
        expect(client.read_response.body).to eq("all")
      end
    else
      it "are held back, and come whole, #{framing}", feature: :live_uploads do
        client = ask(telling_upstream, "POST", headers)
        client.write(encode.call("a" * 1000))
        expect { @came.pop(within: 0.5) }.to raise_error(RawSocket::Expired)
        1.upto(19) { |number| client.write(encode.call((97 + number).chr * 1000)) }
        client.write(last)
        expect(client.read_response.body).to eq("all")
        body = +""
        body << @came.pop until body.bytesize >= 20_000
        expect(body).to eq(Array.new(20) { |number| (97 + number).chr * 1000 }.join)
      end
    end
  end

  if profile.can?(:chunked_uploads)
    it "keep their bytes when sent in chunks", feature: :chunked_uploads do
      pieces = Array.new(50) { |number| Random.bytes(1 + (number * 997)) }
      client = ask(digesting_upstream, "POST", { "Transfer-Encoding" => "chunked" })
      client.write(ChunkedBody.encode(*pieces))
      expect(client.read_response(within: 10).body).to eq(Digest::SHA256.hexdigest(pieces.join))
    end

    it "lose extensions of their chunks" do
      client = ask(digesting_upstream, "POST", { "Transfer-Encoding" => "chunked" })
      client.write("5;name=value\r\nhello\r\n0\r\n\r\n")
      expect(client.read_response(within: 10).body).to eq(Digest::SHA256.hexdigest("hello"))
    end
  else
    it "are a 400 when sent in chunks", feature: :chunked_uploads do
      upstream = digesting_upstream
      framing = { "Transfer-Encoding" => "chunked", "Content-Length" => nil }
      client = ask(upstream, "POST", framing, ChunkedBody.encode("hello"))
      expect([client.read_head.status, upstream.requests]).to eq([400, []])
    end
  end

  it "of several requests on a connection are told apart" do
    upstream = serving { |request| [200, {}, request.body] }
    client = ask(upstream, "POST", {}, "first")
    first = client.read_response
    expect(first.body).to eq("first")
    next if first.head["Connection"]&.casecmp?("close")

    client.request("POST", "/#{upstream.port}/path", {}, "second")
    expect(client.read_response.body).to eq("second")
  end

  # @return [Boolean] whether the server has not closed the client's connection, in its time
  def served?(client)
    ports = [@server.port, client.io.local_address.ip_port]
    client.close
    Deadline.new(Deadline::SECONDS).poll { !ProcessFacts.connected?(*ports) }.nil?
  end

  it "never look complete when the client leaves before the end", id: "RQ6" do
    came = EventQueue.new("end of the upload")
    upstream = start_upstream do |connection|
      length = connection.read_head.content_length
      came << [length, connection.read_to_end.first.bytesize]
    end
    client = ask(upstream, "POST", { "Content-Length" => "100000" }, "a" * 50_000)
    # Some servers pass on what is whole alone.
    live = profile.can?(:live_uploads)
    Deadline.new(live ? Deadline::SECONDS : 1).poll { upstream.requests.any? }
    expect(served?(client)).to be(false)
    expect(upstream.requests.size).to eq(1) if live
    upstream.requests.each { expect(came.pop).to match([100_000, be <= 50_000]) }
  end

  context "that middleware outside has read already" do
    once do
      @server = start_server(profile.kind,
                             profile.rackup(above: <<~RUBY))
                               require "rack/method_override"
                               use Rack::MethodOverride
                             RUBY
    end

    it "go up whole: a form behind Rack::MethodOverride", id: "RQ5" do
      form = "_method=put&text=#{"x" * 3000}"
      upstream = serving { |request| [200, {}, "#{request.head.request_method} #{request.body}"] }
      client = ask(upstream, "POST", { "Content-Type" => "application/x-www-form-urlencoded" },
                   form)
      expect(client.read_response.body).to eq("PUT #{form}")
    end
  end
end
