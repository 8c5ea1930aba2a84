# frozen_string_literal: true

RSpec.describe Rack::StreamingProxy::Proxy, "and request methods and bodies" do
  let(:upstream) { serving { |request| [200, {}, request.body] } }
  let(:app) { linted { |request| upstream.url(request.fullpath) } }
  let(:head) { upstream.wait_for_request }

  # An input without length that gives the pieces one by one and cannot be rewound.
  let(:unrewindable) do
    Class.new do
      def initialize(*pieces)
        @pieces = pieces
      end

      def read(_length = nil, buffer = nil)
        piece = @pieces.shift
        buffer ? buffer.replace(piece.to_s) && piece : piece
      end
    end
  end

  %w[GET POST PUT PATCH DELETE OPTIONS TRACE COPY LOCK MKCOL MOVE PROPFIND PROPPATCH UNLOCK PURGE
     REPORT LINK M-SEARCH get Patch x!#$%&'*+.^_`|~9].each do |verb|
    it "passes #{verb} on as it is", id: "RQ14" do
      answer = fetch(bare { upstream.url("/m") }, "/", "REQUEST_METHOD" => verb)
      expect(answer.status).to eq(200)
      expect(head.first_line).to eq("#{verb} /m HTTP/1.1")
    end
  end

  it "answers CONNECT with 405 and asks nobody", id: "RQ14" do
    answer = fetch(bare { upstream.url }, "/", "REQUEST_METHOD" => "CONNECT")
    expect(answer.status).to eq(405)
    expect(upstream.connections).to be_empty
  end

  it "refuses a method that is no token with 400" do
    answer = fetch(bare { upstream.url }, "/", "REQUEST_METHOD" => "GET /x HTTP/1.1\r\nA:")
    expect(answer.status).to eq(400)
    expect(upstream.connections).to be_empty
  end

  it "sends a body with its length" do
    answer = fetch(app, "/", method: "POST", input: "hello")
    expect(answer.body).to eq("hello")
    expect(head.all("content-length")).to eq(["5"])
    expect(head["transfer-encoding"]).to be_nil
  end

  %w[POST PUT PATCH].each do |verb|
    it "sends Content-Length: 0 with a #{verb} without a body", id: "RQ5" do
      expect(fetch(app, "/", method: verb).status).to eq(200)
      expect(head.all("content-length")).to eq(["0"])
      expect(head["transfer-encoding"]).to be_nil
    end
  end

  %w[GET HEAD DELETE OPTIONS].each do |verb|
    it "sends no framing with a #{verb} without a body", id: "RQ5" do
      fetch(app, "/", method: verb)
      expect(head.names).not_to include("content-length", "transfer-encoding")
    end
  end

  %w[GET DELETE OPTIONS].each do |verb|
    it "sends the body of a #{verb} with its length", id: "RQ16" do
      expect(fetch(app, "/", method: verb, input: "q").body).to eq("q")
      expect(head.all("content-length")).to eq(["1"])
    end
  end

  it "sends the body of a HEAD with its length", id: "RQ16" do
    fetch(app, "/", method: "HEAD", input: "q")
    expect([head.request_method, head.all("content-length")]).to eq(["HEAD", ["1"]])
    expect(upstream.connections.first.requests.map(&:body)).to eq(["q"])
  end

  it "sends a body of unknown length in chunks", id: "RQ5" do
    env = env_for("/", method: "POST").except("CONTENT_LENGTH")
    env["rack.input"] = unrewindable.new("abc", "defg")
    env["HTTP_TRANSFER_ENCODING"] = "chunked"
    status, _, body = bare { upstream.url }.call(env)
    expect([status, read(body)]).to eq([200, "abcdefg"])
    expect(head.all("transfer-encoding")).to eq(["chunked"])
    expect(head["content-length"]).to be_nil
  end

  it "computes the framing and never copies it from the env", id: "RQ1" do
    fetch(bare { upstream.url }, "/", :method => "POST", :input => "hello",
                                      "HTTP_CONTENT_LENGTH" => "77")
    expect(framing_of(head)).to eq([%w[content-length 5]])
  end

  it "refuses a length beside chunks", id: "RQ2" do
    answer = fetch(bare { upstream.url }, "/", :method => "POST", :input => "hello",
                                               "HTTP_TRANSFER_ENCODING" => "chunked")
    expect(answer.status).to eq(400)
    expect(upstream.connections).to be_empty
  end

  ["gzip", "gzip, chunked", "chunked, gzip", "identity"].each do |coding|
    it "refuses the transfer coding #{coding.inspect} of a client", id: "RQ3" do
      env = env_for("/", method: "POST", input: "hello").except("CONTENT_LENGTH")
      status, = bare { upstream.url }.call(env.merge("HTTP_TRANSFER_ENCODING" => coding))
      expect(status).to eq(400)
      expect(upstream.connections).to be_empty
    end
  end

  def framing_of(head)
    head.pairs.map { |name, value| [name.downcase, value] }
        .select { |name, _| %w[content-length transfer-encoding].include?(name) }
  end

  it "never sends more than Content-Length announces", id: "RQ6" do
    env = env_for("/", :method => "POST", :input => "hello and more", "CONTENT_LENGTH" => "5")
    status, _, body = bare { upstream.url }.call(env)
    expect([status, read(body)]).to eq([200, "hello"])
  end

  it "sends the whole input when something before it has read from it" do
    env = env_for("/", method: "POST", input: "a=1&b=2")
    env["rack.input"].read(3)
    status, _, body = bare { upstream.url }.call(env)
    expect([status, read(body)]).to eq([200, "a=1&b=2"])
  end

  it "leaves the form readable for the block" do
    seen = nil
    answer = fetch(bare { |request| (seen = request.POST) && upstream.url }, "/",
                   :method => "POST", :input => "a=1",
                   "CONTENT_TYPE" => "application/x-www-form-urlencoded")
    expect(seen).to eq("a" => "1")
    expect(answer.body).to eq("a=1")
  end

  it "passes every byte value of a body" do
    bytes = (0..255).map(&:chr).join.b * 1024
    expect(fetch(app, "/", method: "PUT", input: bytes).body).to eq(bytes)
  end

  it "keeps the content type, and invents none" do
    fetch(app, "/", :method => "POST", :input => "{}", "CONTENT_TYPE" => "application/json")
    expect(head["content-type"]).to eq("application/json")
    fetch(app, "/", method: "GET")
    expect(upstream.wait_for_request["content-type"]).to be_nil
  end

  it "sends conditional and range headers untouched, and lets the upstream answer", id: "RQ17" do
    whole = "HTTP/1.1 200 OK\r\nETag: \"b\"\r\nContent-Length: 5\r\n\r\nwhole"
    upstream = serving { whole }
    answer = fetch(linted { upstream.url }, "/", "HTTP_RANGE" => "bytes=0-1,5-6",
                                                 "HTTP_IF_RANGE" => '"x"',
                                                 "HTTP_IF_NONE_MATCH" => 'W/"a", "b"')
    expect([answer.status, answer["ETag"], answer.body]).to eq([200, '"b"', "whole"])
    head = upstream.wait_for_request
    expect(head["range"]).to eq("bytes=0-1,5-6")
    expect(head["if-range"]).to eq('"x"')
    expect(head["if-none-match"]).to eq('W/"a", "b"')
  end

  it "does not send Expect upstream", id: "ST9" do
    fetch(app, "/", :method => "POST", :input => "x", "HTTP_EXPECT" => "100-continue")
    expect(head["expect"]).to be_nil
  end

  it "speaks HTTP/1.1 to the upstream also for a client of HTTP/1.0", id: "FW8" do
    fetch(bare { upstream.url }, "/", "SERVER_PROTOCOL" => "HTTP/1.0",
                                      "HTTP_VERSION" => "HTTP/1.0")
    expect(head.first_line).to eq("GET / HTTP/1.1")
    expect(head["version"]).to be_nil
  end
end
