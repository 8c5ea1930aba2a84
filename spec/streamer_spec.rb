# frozen_string_literal: true

require "digest/sha2"
require "yaml"

# The upstream of the demo and of these specs must itself be truthful, on both servers.
RSpec.describe "dev/streamer.ru" do
  rackup = File.expand_path("../dev/streamer.ru", __dir__)

  def ask(path, headers = {}, verb: "GET", body: nil, version: "1.1")
    client = connect(@server)
    client.request(verb, path, headers, body, version:)
    client
  end

  def fetch(path, headers = {}, **request)
    ask(path, headers, **request).read_response(bodyless: request[:verb] == "HEAD")
  end

  def sha256(text)
    Digest::SHA256.hexdigest(text)
  end

  def now
    Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end

  # Reads the body piece by piece.
  # @return [Array<Array(String, Float)>] each piece and when it came
  def pieces(client)
    length = client.read_head.content_length
    pieces = []
    until length&.zero? || (piece = client.read_chunk).nil?
      pieces << [piece, now]
      length -= piece.bytesize if length
    end
    pieces
  end

  # @return [Float] the median of how late the pieces came that carry the time of their sending
  def lateness(pieces)
    late = pieces.map { |piece, arrived| arrived - piece[/\d+\.\d{6}/].to_f }
    late.sort[late.size / 2]
  end

  # The definition in dev/streamer/pattern.rb, written down once more.
  def content(size)
    tail = (0..2047).map { |n| Digest::SHA256.digest(n.to_s) }.join.byteslice(8..)
    (0..size / 65_536).map { |n| [n].pack("Q>") + tail }.join.byteslice(0, size)
  end

  shared_examples "the streamer" do
    it "lists its routes" do
      expect(fetch("/").body).to include("/slow_stream", "/flaky/N", "/redirect")
      expect(fetch("/nothing").status).to eq(404)
    end

    it "sends lines with a length, one after the other" do
      client = ask("/5?every=0.3")
      parts = pieces(client)
      expect(parts.map(&:first).join).to eq((1..5).map { |n| "line #{n} of 5\n" }.join)
      expect(parts.last.last - parts.first.last).to be > 0.15
    end

    it "sends lines without a length" do
      response = fetch("/chunked/3?every=0")
      expect(response).to have_attributes(body: "line 1 of 3\nline 2 of 3\nline 3 of 3\n")
      expect(response.head).to be_chunked
      expect(response.head.content_length).to be_nil
    end

    it "sends the slow stream's chunks when it says it does" do
      parts = pieces(ask("/slow_stream?chunks=6&every=0.3"))
      expect(parts.map { |text, _| text[/chunk \d of 6/] }).to eq((1..6).map { "chunk #{_1} of 6" })
      expect(lateness(parts)).to be_between(0, 0.4) # together at the end: 0.9
    end

    it "sends events when it says it does" do
      client = ask("/sse?events=6&every=0.3")
      parts = pieces(client)
      expect(parts.map { |text, _| text[/\Aid: (\d+)\n/, 1].to_i }).to eq([*1..6])
      expect(parts.map(&:first)).to all(match(/^data: {"event":\d,"of":6,"sent_at":[\d.]+}\n\n\z/))
      expect(lateness(parts)).to be_between(0, 0.4) # together at the end: 0.9
    end

    { "0" => 0, "1000" => 1000, "64k" => 65_536, "2M" => 2 << 20, "1048577" => 1_048_577 }
      .each do |size, bytes|
        it "sends #{size} bytes of the defined content" do
          response = fetch("/bytes/#{size}")
          expect(response.head.content_length).to eq(bytes)
          expect(sha256(response.body)).to eq(sha256(content(bytes)))
        end
      end

    it "names the length of 1 GiB" do
      expect(fetch("/bytes/1G", verb: "HEAD").head.content_length).to eq(1 << 30)
    end

    it "echoes a body with its length and type" do
      body = Random.bytes(100_000)
      response = fetch("/echo", { "Content-Type" => "image/png" }, verb: "POST", body:)
      expect(response.body).to eq(body)
      expect(response.head["content-type"]).to eq("image/png")
      expect(response.head.content_length).to eq(100_000)
    end

    it "echoes a chunked body" do
      client = ask("/echo", { "Transfer-Encoding" => "chunked" }, verb: "PUT")
      client.write("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")
      expect(client.read_response).to have_attributes(body: "hello world", complete?: true)
    end

    it "answers an upload with its size and SHA-256" do
      body = Random.bytes(200_000)
      expect(fetch("/upload", verb: "PUT", body:).body)
        .to eq("size: 200000\nsha256: #{sha256(body)}\n")
      expect(fetch("/upload").body).to eq("size: 0\nsha256: #{sha256("")}\n")
    end

    it "answers with the status that is asked for" do
      expect(fetch("/status/404").body).to eq("404 Not Found\n")
      expect(fetch("/status/503").status).to eq(503)
      expect(fetch("/status/299").body).to eq("299\n")
      expect([fetch("/status/100").status, fetch("/status/600").status]).to eq([400, 400])
    end

    it "sends no body with 204, 304 or an answer to HEAD" do
      [%w[GET /status/204], %w[GET /status/304], %w[HEAD /3], %w[HEAD /chunked/3]].each do |request|
        verb, path = request
        client = ask(path, { "Connection" => "close" }, verb:)
        client.read_head
        expect(client.read_to_end).to eq(["", :fin])
      end
    end

    it "fails as often as asked, for each path with its query" do
      one = Array.new(4) { fetch("/flaky/2?one").status }
      expect(one).to eq([503, 503, 200, 200])
      expect(fetch("/flaky/2?another").status).to eq(503)
    end

    it "shows the request's header fields" do
      body = fetch("/headers", { "X-One-Two" => "a, b", "Content-Type" => "text/x" },
                   verb: "POST", body: "1234").body
      expect(body.lines(chomp: true))
        .to contain_exactly("Host: client.test", "X-One-Two: a, b", "Content-Type: text/x",
                            "Content-Length: 4")
    end

    it "shows the Rack environment with a form's body" do
      response = fetch("/env?q=1", { "Content-Type" => "application/x-www-form-urlencoded" },
                       verb: "POST", body: "foo=bar")
      expect(response.body).to match(/^REQUEST_METHOD: POST$/)
      expect(response.body).to match(/^rack.request.form_vars: foo=bar$/)
      expect(YAML.safe_load(response.body)).to include("QUERY_STRING" => "q=1")
    end

    it "cuts a response short, with and without a length" do
      with_length = ask("/cut")
      expect(with_length.read_head.content_length).to eq(1000)
      expect(with_length.read_to_end.first.bytesize).to eq(500)
      expect(fetch("/cut?chunked=1")).to have_attributes(body: "x" * 500, complete?: false)
    end

    it "sets several cookies and shows the one that came" do
      response = fetch("/cookies", { "Cookie" => "a=1; b=2" })
      expect(response.head.all("set-cookie").map { _1[/\A\w+/] }).to eq(%w[first second third])
      expect(response.body).to eq("cookie: a=1; b=2\n")
    end

    it "redirects" do
      response = fetch("/redirect")
      expect([response.status, response.head["location"]]).to eq([302, "/"])
      expect(fetch("/redirect?to=/a%3Fb").head["location"]).to eq("/a?b")
      expect(fetch("/redirect?to=/a%0d%0aX:b").status).to eq(400)
    end

    it "ends a response without a length for a client of HTTP/1.0 that would keep the connection" do
      client = ask("/chunked/2?every=0", { "Connection" => "keep-alive" }, version: "1.0")
      expect(client.read_head).not_to be_chunked
      expect(client.read_to_end).to eq(["line 1 of 2\nline 2 of 2\n", :fin])
    end
  end

  context "on Puma" do
    once { @server = start_puma(rackup) }

    it_behaves_like "the streamer"
  end

  context "on Unicorn" do
    once { @server = start_unicorn(rackup) }

    it_behaves_like "the streamer"

    it "echoes each piece of a body while the rest is not yet there" do
      client = ask("/echo", { "Transfer-Encoding" => "chunked" }, verb: "POST")
      client.write("3\r\none\r\n")
      client.read_head
      expect(client.read_chunk).to eq("one")
      client.write("3\r\ntwo\r\n")
      expect(client.read_chunk).to eq("two")
      client.write("0\r\n\r\n")
      expect(client.read_chunk).to be_nil
    end

    it "lets a client send its body that waits to be told" do
      client = ask("/upload", { "Expect" => "100-continue", "Content-Length" => "3" }, verb: "PUT")
      expect(client.read_head.status).to eq(100)
      client.write("abc")
      expect(client.read_response.body).to include(sha256("abc"))
    end
  end
end
