# frozen_string_literal: true

# However a client frames its request, the upstream gets one request whose end is in no doubt, or
# none. The second request that hides in each never arrives as one.
RSpec.describe Rack::StreamingProxy::Proxy, "and smuggled requests" do
  # The port of the upstream comes with the request.
  rackup = RackupText.proxy.sub('ENV.fetch("UPSTREAM") + request.fullpath',
                                '"http://127.0.0.1:" + request.path[/\d+/]')

  once { @servers = %i[puma unicorn].to_h { |kind| [kind, start_server(kind, rackup)] } }

  def server(kind) = @servers.fetch(kind)

  let(:seen) { EventQueue.new("request at the upstream") }

  # Records each request and every byte after it.
  let(:upstream) do
    seen.then do |events|
      start_upstream do |connection|
        request = connection.read_request
        connection.respond(200, { "Connection" => "close" }, "ok")
        events << [request, connection.read_to_end.first]
      end
    end
  end

  hidden = "GET /smuggled HTTP/1.1\r\nHost: front.test\r\n\r\n"
  chunks = "3\r\nabc\r\n0\r\n\r\n"

  # All that has reached the upstream, once its connections have ended.
  def recorded
    ended = Deadline.new(10).poll { upstream.connections.all?(&:closed?) }
    expect(ended).to be(true)
    Array.new(seen.size) { seen.pop }
  end

  # @param body [String, nil] of the one request; nil for none
  def expect_one_request(body)
    requests = recorded
    expect(requests.size).to eq(upstream.connections.size)
    return expect(requests).to be_empty if body.nil?

    (request, rest), *others = requests
    expect([request.body, rest, others]).to eq([body, "", []])
    expect_framing(request)
    expect(request.head.raw).not_to include("smuggled")
  end

  def expect_framing(request)
    length = request.head.all("content-length")
    codings = request.head.all("transfer-encoding")
    expect([length, codings]).to eq([[request.body.bytesize.to_s], []]).or eq([[], ["chunked"]])
    expect(request.head.names.grep(/\A(?:content.length|transfer.encoding)\z/).size).to eq(1)
  end

  # The IDs of what a request with these fields shows, in pairs of name and value.
  ids_of = lambda do |fields, version: "1.1"|
    codings, lengths = %w[transfer content].map do |word|
      fields.filter_map { |name, value| value if name.match?(/#{word}/i) }
    end
    exact = codings.empty? || codings.map { |one| one.strip.downcase } == ["chunked"]
    ["RQ1", ("RQ2" if codings.any? && lengths.any?), ("RQ3" unless exact),
     ("RQ4" if codings.any? && version == "1.0")].compact
  end

  # Unicorn 6.1 refuses names that others would read as a framing field.
  underscored = "abc" unless ServerProcess.of(:unicorn).at_least?("6.1")
  # Puma 8 takes off the chunks and keeps the other coding to itself.
  gzipped = "abc" if ServerProcess.of(:puma).at_least?("8")

  # What follows the request line and Host; then the body that arrives through each server, or nil.
  {
    "a length" => ["Content-Length: 3", "abc", "abc", "abc"],
    "a request in its body" => ["Content-Length: #{hidden.bytesize}", hidden, hidden, hidden],
    "chunks" => ["Transfer-Encoding: chunked", chunks, "abc", "abc"],
    "chunks with extensions" => ["Transfer-Encoding: chunked", "3;a=b\r\nabc\r\n0\r\n\r\n", "abc",
                                 "abc"],
    "a length and chunks" => ["Content-Length: 3\r\nTransfer-Encoding: chunked", chunks, "abc",
                              nil],
    "chunks and a length" => ["Transfer-Encoding: chunked\r\nContent-Length: 3", chunks, "abc",
                              nil],
    "chunks that end at once and a length" =>
      ["Content-Length: #{hidden.bytesize + 5}\r\nTransfer-Encoding: chunked", "0\r\n\r\n", "",
       nil],
    "gzip, chunked" => ["Transfer-Encoding: gzip, chunked", chunks, gzipped, nil],
    "chunked, identity" => ["Transfer-Encoding: chunked, identity", chunks, nil, nil],
    "xchunked" => ["Transfer-Encoding: xchunked", chunks, nil, nil],
    "xchunked and a length" => ["Transfer-Encoding: xchunked\r\nContent-Length: 3", "abc", nil,
                                nil],
    "identity and a length" => ["Transfer-Encoding: identity\r\nContent-Length: 3", "abc", nil,
                                nil],
    "identity and then chunked" =>
      ["Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", chunks, nil, nil],
    "chunked twice" => ["Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", chunks, nil,
                        nil],
    "chunked after a space" => ["Transfer-Encoding:  chunked", chunks, "abc", "abc"],
    "chunked after a vertical tab" => ["Transfer-Encoding: \vchunked", chunks, nil, nil],
    "chunked on a folded line" => ["Transfer-Encoding:\r\n chunked", chunks, nil, nil],
    "a length on a folded line" => ["Content-Length:\r\n 3", "abc", nil, nil],
    "a space before the colon" => ["Transfer-Encoding : chunked", chunks, nil, nil],
    "an underscore in Transfer_Encoding" => ["Transfer_Encoding: chunked", chunks, nil,
                                             underscored],
    "an underscore in Transfer_Encoding beside a length" =>
      ["Transfer_Encoding: chunked\r\nContent-Length: #{chunks.bytesize}", chunks, nil, nil],
    "an underscore in Content_Length" => ["Content_Length: 3", "abc", nil, underscored],
    "an underscore in Content_Length beside a length" =>
      ["Content_Length: 5\r\nContent-Length: 3", "abc", nil, nil],
    "a length twice" => ["Content-Length: 3\r\nContent-Length: 3", "abc", nil, nil],
    "lengths that differ" => ["Content-Length: 3\r\nContent-Length: 4", "abcd", nil, nil],
    "a length with a sign" => ["Content-Length: +3", "abc", nil, nil],
    "a chunk size with a sign" => ["Transfer-Encoding: chunked", "+3\r\nabc\r\n0\r\n\r\n", nil,
                                   nil]
  }.each do |what, (lines, payload, through_puma, through_unicorn)|
    ids = ids_of.call(lines.split("\r\n").map { |line| line.split(":", 2) })
    { puma: through_puma, unicorn: through_unicorn }.each do |kind, body|
      arrival = body ? "as one request" : "not at all"
      it "reach the upstream #{arrival}, of #{what} on #{kind}", id: ids do
        client = connect(server(kind))
        client.write("POST /#{upstream.port} HTTP/1.1\r\nHost: front.test\r\nConnection: close" \
                     "\r\n#{lines}\r\n\r\n#{payload}#{hidden}")
        client.read_to_end
        expect_one_request(body)
      end
    end
  end

  # Puma decodes the chunks, and says nothing of them to the application.
  { puma: "abc", unicorn: nil }.each do |kind, body|
    arrival = body ? "as one request" : "not at all"
    it "reach the upstream #{arrival}, of chunks in HTTP/1.0 on #{kind}", id: "RQ4" do
      client = connect(server(kind))
      client.write("POST /#{upstream.port} HTTP/1.0\r\nHost: front.test\r\n" \
                   "Transfer-Encoding: chunked\r\n\r\n#{chunks}#{hidden}")
      client.read_to_end
      expect_one_request(body)
    end
  end

  describe "behind a request whose end is not known" do
    it "are never read by Puma, which would take them for the next one", id: %w[RQ2 RQ3] do
      client = connect(server(:puma))
      request = "POST /#{upstream.port} HTTP/1.1\r\nHost: front.test\r\n" \
                "Transfer-Encoding: gzip, chunked\r\n\r\n"
      client.write(request + hidden.sub("smuggled", upstream.port.to_s))
      bytes, ending = client.read_to_end
      expect(bytes).to match(%r{\AHTTP/1.1 400 })
      expect([bytes.scan("HTTP/1.1").size, ending]).to match([1, be_truthy])
      expect(recorded).to be_empty
    end
  end

  describe "of another major version" do
    { "0.9" => "", "2.0" => " HTTP/2.0" }.each do |version, suffix|
      it "reach the upstream not at all, of HTTP/#{version} on Unicorn", id: "FW8" do
        client = connect(server(:unicorn))
        client.write("GET /#{upstream.port}#{suffix}\r\nHost: front.test\r\n\r\n")
        expect(client.read_to_end.first).to end_with("400 Bad Request")
        expect(recorded).to be_empty
      end
    end
  end

  describe "behind a chunk that is none" do
    it "are a 400 on Unicorn, and the upstream sees no whole request", id: "RQ7" do
      client = connect(server(:unicorn))
      client.write("POST /#{upstream.port} HTTP/1.1\r\nHost: front.test\r\n" \
                   "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nxyz\r\n#{hidden}")
      expect(client.read_head.status).to eq(400)
      expect(recorded).to be_empty
    end
  end

  # What servers that are not here, or a middleware, may leave in the env: with the input "abc", the
  # body that arrives, or nil.
  describe "in an env" do
    {
      { "CONTENT_LENGTH" => "3" } => "abc",
      { "CONTENT_LENGTH" => "3", "HTTP_CONTENT_LENGTH" => "77" } => "abc",
      { "CONTENT_LENGTH" => "3", "HTTP_CONTENT-LENGTH" => "77" } => "abc",
      { "CONTENT_LENGTH" => "3", "HTTP_TRANSFER-ENCODING" => "chunked" } => "abc",
      { "CONTENT_LENGTH" => "3", "HTTP_TRANSFER_ENCODING" => "chunked" } => nil,
      { "CONTENT_LENGTH" => "3", "HTTP_TRANSFER_ENCODING" => "" } => nil,
      { "CONTENT_LENGTH" => "3", "HTTP_TRANSFER_ENCODING " => "chunked" } => nil,
      { "CONTENT_LENGTH" => "3", "HTTP_TRANSFER_ENCODING\r\nX" => "chunked" } => nil,
      { "CONTENT_LENGTH" => "3", "HTTP_CONNECTION" => "Content-Length, Host, Transfer-Encoding" } =>
        "abc",
      { "CONTENT_LENGTH" => "2" } => "ab",
      { "CONTENT_LENGTH" => "3, 3" } => nil,
      { "CONTENT_LENGTH" => "3\n3" } => nil,
      { "CONTENT_LENGTH" => "3\n" } => nil,
      { "CONTENT_LENGTH" => " 3" } => nil,
      { "CONTENT_LENGTH" => "0_3" } => nil,
      { "HTTP_TRANSFER_ENCODING" => "chunked" } => "abc",
      { "HTTP_TRANSFER_ENCODING" => "Chunked" } => "abc",
      { "HTTP_TRANSFER_ENCODING" => " chunked" } => nil,
      { "HTTP_TRANSFER_ENCODING" => "chunked\n" } => nil,
      { "HTTP_TRANSFER_ENCODING" => "\r\n chunked" } => nil,
      { "HTTP_TRANSFER_ENCODING" => "chunked, identity" } => nil,
      { "HTTP_TRANSFER_ENCODING" => "identity,chunked" } => nil,
      { "HTTP_TRANSFER_ENCODING" => "chunked", "SERVER_PROTOCOL" => "HTTP/1.0" } => nil,
      { "HTTP_TRANSFER_ENCODING" => "chunked", "HTTP_CONNECTION" => "Transfer-Encoding" } => "abc",
      {} => "abc"
    }.each do |env, body|
      arrival = body ? "arrive as one request" : "arrive not at all"
      version = env["SERVER_PROTOCOL"].to_s.delete_prefix("HTTP/")
      it "#{arrival} for #{env}", id: ids_of.call(env.except("HTTP_CONNECTION"), version:) do
        fetch_with(env, StringIO.new("abc"))
        expect_one_request(body)
      end
    end

    # Passenger hands the client's chunks on undecoded: they are a body like any other.
    it "arrive as one request when the server has left the chunks in the body", id: "RQ1" do
      raw = "3\r\nabc\r\n0\r\n\r\n#{hidden.sub("smuggled", "hidden")}"
      fetch_with({ "HTTP_TRANSFER_ENCODING" => "chunked" }, StringIO.new(raw))
      expect_one_request(raw)
    end

    it "leave nothing of an upgrade to another protocol", id: %w[WS2 WS7] do
      fetch_with({ "CONTENT_LENGTH" => "3", "HTTP_CONNECTION" => "Upgrade, HTTP2-Settings",
                   "HTTP_UPGRADE" => "h2c", "HTTP_HTTP2_SETTINGS" => "AAMAAABk" },
                 StringIO.new("abc"))
      (request,), = recorded
      expect(request.head.names).not_to include("upgrade", "connection", "http2-settings")
    end

    def fetch_with(env, input)
      url = upstream.url
      base = env_for("/", method: "POST").except("CONTENT_LENGTH").merge("rack.input" => input)
      _, _, body = bare { url }.call(base.merge(env))
      read(body)
    end
  end

  describe "of fields that the proxy sets" do
    # Servers make one field of both names, or drop one: what arrives is one line, ours last.
    %i[puma unicorn].each do |kind|
      it "arrive under one name with ours last, on #{kind}", id: "HH15" do
        request = forwarded(kind, "X_Forwarded_For: 6.6.6.6\r\nX-Forwarded-For: 1.1.1.1")
        twins = request.head.pairs.select { |name, _| name.match?(/\Ax.forwarded.for\z/i) }
        expect(twins).to match([[/\Ax-forwarded-for\z/i, /(?:\A|, ?)1\.1\.1\.1, 127\.0\.0\.1\z/]])
      end

      it "cannot be removed through Connection, on #{kind}", id: "HH3" do
        request = forwarded(kind, "X-Forwarded-For: 6.6.6.6\r\nConnection: X-Forwarded-For, Via, " \
                                  "Host, X-Forwarded-Host, close")
        expect(request["x-forwarded-for"]).to eq("127.0.0.1")
        expect(request["x-forwarded-host"]).to eq("front.test")
        expect(request["host"]).to eq(upstream.authority)
        expect(request["via"]).to match(/\A1\.1 \S+\z/)
      end
    end

    def forwarded(kind, lines)
      client = connect(server(kind))
      client.write("GET /#{upstream.port} HTTP/1.1\r\nHost: front.test\r\n#{lines}\r\n\r\n")
      client.read_response
      (request,), = recorded
      request
    end
  end
end
