# frozen_string_literal: true

# A first look at each kind of misbehaviour; the other specs go further.
RSpec.describe Rack::StreamingProxy::Proxy, "and an upstream that misbehaves" do
  { "that closes at once" => [502, {}, proc {}],
    "that never answers" => [504, { timeout: 0.1 }, ->(connection) { connection.wait_for_end }],
    "that resets before the head" =>
      [502, {}, ->(connection) { connection.read_head && connection.reset }] }
    .each do |what, (status, settings, script)|
    it "#{what} costs nothing that stays" do
      upstream = start_upstream(&script)
      app = bare(**settings) { upstream.url }
      before = Rack::StreamingProxy.stats[:exchanges]
      expect(Array.new(5) { fetch(app).status }.uniq).to eq([status])
      # The engine takes note of an end a moment after Ruby has heard of it.
      ended = -> { Rack::StreamingProxy.stats[:exchanges] == before }
      expect(Deadline.new(10).poll(&ended)).to be(true)
      expect(Deadline.new(10).poll { upstream.connections.all?(&:closed?) }).to be(true)
    end
  end

  it "that resets amid the body fails in each, after the bytes that came" do
    seen = EventQueue.new
    upstream = start_upstream do |connection|
      connection.read_head
      connection.begin_chunked
      connection.chunk("came")
      seen.pop
      connection.reset
    end
    _, _, body = bare { upstream.url }.call(env_for)
    text = +""
    expect { body.each { |chunk| seen << (text << chunk) } }.to raise_error(EOFError)
    body.close
    expect(text).to eq("came")
  end

  {
    "a folded line" => ["1.1 200 OK\r\nX-Fold: a\r\n b", /malformed header line \(.*folded/],
    "a name that is none" => ["1.1 200 OK\r\nX[A]: b", /malformed header line \(.*name/],
    "a status of two digits" => ["1.1 20 OK", /status that is not three digits/],
    "HTTP/2 in HTTP/1's clothes" => ["2.0 200 OK", %r{not begin with HTTP/1\.1 or HTTP/1\.0}],
    "lengths that differ" => ["1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4",
                              /contradictory Content-Length/],
    "chunks in HTTP/1.0" => ["1.0 200 OK\r\nTransfer-Encoding: chunked",
                             %r{Transfer-Encoding in HTTP/1\.0}],
    "an unknown coding" => ["1.1 200 OK\r\nTransfer-Encoding: gzip, chunked",
                            /Transfer-Encoding other than exactly "chunked"/]
  }.each do |what, (head, rule)|
    it "that sends #{what} is told which rule it broke", id: "TO3" do
      upstream = serving { "HTTP/#{head}\r\n\r\n" }
      expect { fetch(bare(raise_on_error: true) { upstream.url }) }
        .to raise_error(Rack::StreamingProxy::ProtocolError, rule)
    end
  end

  it "that answers before the upload ends is heard at once", id: "ST6" do
    upstream = start_upstream do |connection|
      connection.read_head
      connection.respond(413, {}, "too large")
      connection.wait_for_end
    end
    answer = fetch(linted { upstream.url }, "/", method: "POST", input: "x" * 15_000_000)
    expect([answer.status, answer.body]).to eq([413, "too large"])
  end

  it "that says Connection: close is asked on a new connection the next time" do
    upstream = serving { [200, { "Connection" => "close" }, "ok"] }
    3.times { expect(fetch(linted { upstream.url }).body).to eq("ok") }
    expect(upstream.connections.size).to eq(3)
  end

  it "that sends its head slowly, byte by byte, is understood" do
    upstream = start_upstream do |connection|
      connection.read_head
      "HTTP/1.1 200 OK\r\nX-Slow: yes\r\nContent-Length: 2\r\n\r\nok".each_char do |byte|
        connection.write(byte)
        sleep 0.001
      end
      connection.wait_for_end
    end
    answer = fetch(linted { upstream.url })
    expect([answer.body, answer["X-Slow"]]).to eq(%w[ok yes])
  end

  it "that sends odd but legal chunks is understood" do
    upstream = serving do
      "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n" \
        "0003;name=value\r\nabc\r\nA\r\n0123456789\r\n000\r\n\r\n"
    end
    expect(fetch(linted { upstream.url }).body).to eq("abc0123456789")
  end

  it "that sends a bad chunk amid the body is a failure after what came" do
    upstream = start_upstream do |connection|
      connection.read_head
      connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nxyz\r\n")
    end
    expect { fetch(bare { upstream.url }) }.to raise_error(Rack::StreamingProxy::BodyError)
  end
end
