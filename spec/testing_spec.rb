# frozen_string_literal: true

require "rack/streaming_proxy/testing"

RSpec.describe Rack::StreamingProxy::Testing do
  include StubbedCalls

  library = Rack::StreamingProxy
  base = "http://files.internal"

  def requests = described_class.requests

  describe ".stub" do
    it "answers with status, headers and body" do
      headers = { "X-One" => "1", "X-Two" => %w[a b], "X-Three" => "c\nd" }
      stub("#{base}/a") { [201, headers, ["hello"]] }
      answer = fetch(linted { |request| "#{base}#{request.fullpath}" }, "/a")
      expect([answer.status, answer.body, answer["Content-Length"]]).to eq([201, "hello", "5"])
      several = [answer["X-Two"], answer["X-Three"]].map { |value| Array(value).join("\n") }
      expect([answer["X-One"], *several]).to eq(%W[1 a\nb c\nd])
    end

    it "fits a URL with its query, however it is spelled, and no other" do
      stub("HTTP://me:secret@Files.Internal:80/a?b=c#d") { [200, {}, ["this one"]] }
      stub(/other/) { [200, {}, ["another"]] }
      bodies = ["/a?b=c", "/a?b=c&other", "/a/other"].map { |path| fetch(proxy, path).body }
      expect(bodies).to eq(["this one", "another", "another"])
    end

    it "asks a Regexp, and what else has ===, about the whole URL" do
      asked = []
      stub(->(url) { asked << url }) { [200, {}, []] }
      fetch(proxy { "https://me:secret@Files.Internal:443/a?b#c" })
      expect(asked).to eq(["https://files.internal/a?b"])
      stub(%r{\Ahttps://files\.internal/a\?b\z}) { [200, {}, ["fits"]] }
      expect(fetch(proxy { "https://me:secret@Files.Internal:443/a?b#c" }).body).to eq("fits")
    end

    it "may be for one method" do
      stub("#{base}/") { |request| [200, {}, ["any: #{request.http_method}"]] }
      stub("#{base}/", method: :post) { [200, {}, ["post"]] }
      bodies = %w[GET POST].map { |method| fetch(proxy, "/", method:).body }
      expect(bodies).to eq(["any: GET", "post"])
    end

    it "wins over those before it" do
      stub(/./) { [200, {}, ["first"]] }
      stub(/./) { [200, {}, ["last"]] }
      expect(fetch(proxy).body).to eq("last")
    end

    it "needs a block, and a URL if it is a String", :against_signatures do
      expect { stub("#{base}/") }.to raise_error(ArgumentError, /needs a block/)
      expect { stub("/a") { nil } }.to raise_error(library::ConfigurationError, /no URL/)
    end

    it "sends no body where none may be" do
      stub(/./) { |request| [request.url[/\d+/].to_i, {}, ["unsent"]] }
      requests = { "/200" => "HEAD", "/204" => "GET", "/304" => "GET" }
      answers = requests.map { |path, method| fetch(proxy, path, method:) }
      expect(answers.map { |one| [one.status, one["Content-Length"], one.body] })
        .to eq([[200, "6", ""], [204, nil, ""], [304, nil, ""]])
    end

    it "computes the framing, whatever the headers say of it" do
      stub(/./) { [200, { "Transfer-Encoding" => "gzip" }, ["text"]] }
      expect(fetch(proxy).body).to eq("text")
    end

    it "takes a String or nothing for a body" do
      stub(/string/) { [200, {}, "text"] }
      stub(/nil/) { [200, {}, nil] }
      expect(%w[/string /nil].map { |path| fetch(proxy, path).body }).to eq(["text", ""])
    end

    it "speaks neither TLS nor HTTP/2, and resolves and connects to no name" do
      stub("https://no.such.name.invalid/") { |request| [200, {}, [request["host"]]] }
      app = proxy(http2: :always, allow_destinations: :public, socket: "/no/such/socket") do
        "https://No.such.name.invalid"
      end
      expect(fetch(app).body).to eq("No.such.name.invalid")
    end

    it "runs in the thread of the request, and what it raises is the test's" do
      stub(/./) { raise ArgumentError, "in #{Thread.current.object_id}" }
      expect { fetch(proxy(raise_on_error: false)) }
        .to raise_error(ArgumentError, "in #{Thread.current.object_id}")
    end

    it "says what an answer must be", :against_signatures do
      [nil, [200], [99, {}, []], ["200", {}, []], [200, [], []]].each do |answer|
        stub(/./) { answer }
        expect { fetch(proxy) }
          .to raise_error(ArgumentError, /returns \[status, headers, body\].*GET/)
      end
      stub(/./) { [200, {}, [1]] }
      expect { fetch(proxy) }.to raise_error(TypeError, /Integer/)
    end

    it "carries a large body up and down" do
      body = Random.bytes(5_000_000)
      stub(/./) { |request| [200, {}, [request.body]] }
      expect(fetch(proxy, "/", method: "PUT", input: body).body == body).to be(true)
      expect(requests.first.body == body).to be(true)
    end
  end

  describe "a body that streams" do
    # Takes note of each piece when it is made.
    def made_by(made, &rest)
      Enumerator.new do |body|
        3.times { |number| body << "#{made << number} " }
        rest&.call(body)
      end
    end

    it "is made piece by piece, each when the last one has come out of the proxy" do
      made = []
      stub(/./) { [200, {}, made_by(made)] }
      _, _, body = proxy.call(env_for)
      expect(made).to be_empty
      seen = []
      body.each { |chunk| seen << [chunk, made.size] }
      expect(seen).to eq([["[0] ", 1], ["[0, 1] ", 2], ["[0, 1, 2] ", 3]])
      body.close
    end

    it "keeps the pieces of an Array apart, and skips empty ones" do
      stub(/./) { [200, {}, ["one", "", "two"]] }
      _, headers, body = proxy.call(env_for)
      expect(headers.to_h.transform_keys(&:downcase)).to include("content-length" => "6")
      expect(body.enum_for(:each).to_a).to eq(%w[one two])
      body.close
    end

    it "may be endless: it ends when the proxy's body is closed" do
      made = []
      stub(/./) { [200, {}, made_by(made) { |body| loop { body << "more" } }] }
      _, _, body = proxy.call(env_for)
      expect(body.enum_for(:each).first(5).last).to eq("more")
      body.close
      expect(Deadline.new(10).poll { library.stats[:exchanges].zero? }).to be(true)
    end

    it "has pieces of any size, and makes none before all of the last one is out" do
      size = 300_000
      received = 0
      made = []
      piece = "x" * size
      pieces = Enumerator.new { |body| 50.times { body << ((made << received) && piece) } }
      stub(/./) { [200, {}, pieces] }
      _, _, body = proxy.call(env_for)
      body.each { |chunk| received += chunk.bytesize }
      body.close
      expect(made).to eq(Array.new(50) { |number| number * size })
      expect(received).to eq(50 * size)
    end

    it "raises in `each` what making it raises" do
      stub(/./) { [200, {}, made_by([]) { raise KeyError, "mine" }] }
      expect { fetch(proxy) }.to raise_error(KeyError, "mine")
    end
  end

  it "leaves retries to the engine, with what they send again" do
    statuses = [503, 503, 200]
    body = "x" * 100_000
    stub(/./) { |request| [statuses.shift, {}, ["#{request.body.bytesize} bytes"]] }
    started = Deadline.now
    app = proxy(num_retries_on_5xx: 2, retry_delay: 0)
    expect(fetch(app, "/", method: "PUT", input: body).body).to eq("100000 bytes")
    expect(Deadline.now - started).to be < 2 # the engine waits 1 s for the rest of each answer
    expect(requests.map { |request| request.body == body }).to eq([true] * 3)
  end

  it "calls on_complete, with the response" do
    completed = []
    stub(/./) { [200, {}, ["12345"]] }
    fetch(proxy(on_complete: ->(response) { completed << [response.status, response.length] }))
    expect(completed).to eq([[200, 5]])
  end

  describe ".requests" do
    it "has the requests as they come to the upstream" do
      stub(/./) { [200, {}, []] }
      options = { method: "POST", input: "a=b", "CONTENT_TYPE" => "text/plain",
                  "REMOTE_ADDR" => "9.9.9.9", "HTTP_HOST" => "example.org",
                  "HTTP_X_FORWARDED_FOR" => "1.1.1.1",
                  "HTTP_CONNECTION" => "x-hop", "HTTP_X_HOP" => "1", "HTTP_X_END" => "2" }
      fetch(proxy(headers: { "X-Api-Key" => "k" }), "/a?b", options)
      request, = requests
      expect([request.http_method, request.url, request.body]).to eq(["POST", "#{base}/a?b", "a=b"])
      expect(request.headers).to include(
        "host" => "files.internal", "content-type" => "text/plain", "content-length" => "3",
        "x-end" => "2", "x-api-key" => "k", "x-forwarded-for" => "1.1.1.1, 9.9.9.9",
        "x-forwarded-host" => "example.org", "via" => "1.1 rack-streaming-proxy"
      )
      expect(request.headers.keys & %w[connection x-hop]).to be_empty
      expect([request["X-END"], request["X-Hop"]]).to eq(["2", nil])
    end

    it "has the whole body of an upload without a length" do
      stub(/./) { [200, {}, []] }
      env = env_for("/", method: "POST")
      env.delete("CONTENT_LENGTH")
      env["rack.input"] = StringIO.new("y" * 200_000)
      read(proxy.call(env).last)
      expect(requests.first["transfer-encoding"]).to eq("chunked")
      expect(requests.first.body == "y" * 200_000).to be(true)
    end

    it "has them in their order, and none after a reset" do
      stub(/./) { [200, {}, []] }
      %w[/1 /2].each { |path| fetch(proxy, path) }
      expect(requests.map(&:to_s)).to eq(["GET #{base}/1", "GET #{base}/2"])
      described_class.reset
      expect(requests).to be_empty
    end

    it "shows no header and no body when inspected" do
      request = described_class::Request.new("GET", "#{base}/a", [%w[cookie secret]], "secret")
      expect(request.inspect).to eq("#<Rack::StreamingProxy::Testing::Request GET #{base}/a>")
    end
  end
end
