# frozen_string_literal: true

# What an upstream or a client may send at the most: at each limit all is well, one over it is
# refused by the name of the setting.
RSpec.describe "Limits" do
  # An upstream that answers one request with this and tells when its connection has ended.
  def answering(text)
    start_upstream do |connection|
      connection.read_head
      connection.write(text)
      ended << connection.wait_for_end
    rescue Errno::EPIPE, Errno::ECONNRESET # before all of it was taken
      ended << :reset
    end
  end

  let(:ended) { EventQueue.new("end of the connection") }

  def raising(text, **settings)
    upstream = answering(text)
    bare(raise_on_error: true, **settings) { upstream.url }
  end

  def expect_refusal(app, pattern)
    expect { fetch(app) }.to raise_error(Rack::StreamingProxy::ProtocolError, pattern) { |error|
      expect([error.status, error.phase]).to eq([502, :head])
    }
    expect(ended.pop).to be_truthy
  end

  # What came of a body, and the error that ended it.
  def cut_body(app, **options)
    status, _, body = app.call(env_for("/", options))
    came = +""
    body.each { |chunk| came << chunk }
    [status, came, nil]
  rescue Rack::StreamingProxy::BodyError => e
    [status, came, e]
  ensure
    body&.close
  end

  def expect_cut(app, came, pattern)
    status, body, error = cut_body(app)
    expect([status, body]).to eq([200, came])
    expect(error&.message).to match(pattern)
    expect(error.phase).to eq(:body)
    expect(ended.pop).to be_truthy
  end

  describe "of header lines" do
    def response_with(lines)
      fields = Array.new(lines - 1) { |n| "X-#{n}: v\r\n" }.join
      "HTTP/1.1 200 OK\r\n#{fields}Content-Length: 4\r\n\r\nbody"
    end

    [[5, { max_headers: 5 }], [256, {}], [1024, { max_headers: 1024 }]].each do |most, settings|
      it "takes #{most} under max_headers #{most}", id: "RS3" do
        expect(fetch(raising(response_with(most), **settings)).body).to eq("body")
      end

      it "refuses one more than #{most}", id: "RS3" do
        expect_refusal(raising(response_with(most + 1), **settings), /#{most}.*max_headers/)
      end
    end
  end

  describe "of header bytes" do
    def response_with(bytes)
      fields = "Content-Length: 4\r\nX-Long: \r\n"
      "HTTP/1.1 200 OK\r\n#{fields.sub("g: ", "g: #{"v" * (bytes - fields.bytesize)}")}\r\nbody"
    end

    [[100, { max_header_bytes: 100 }], [65_536, {}],
     [122_880, { max_header_bytes: 122_880 }]].each do |most, settings|
      it "takes #{most} under max_header_bytes #{most}", id: "RS3" do
        expect(fetch(raising(response_with(most), **settings)).body).to eq("body")
      end

      it "refuses one more than #{most}", id: "RS3" do
        expect_refusal(raising(response_with(most + 1), **settings), /max_header_bytes/)
      end
    end

    it "names the setting for what hyper does not even take in", id: "RS3" do
      expect_refusal(raising(response_with(4_000_000)), /128 KiB.*max_header_bytes/)
    end
  end

  describe "of trailers" do
    def trailing(*lines)
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" \
        "4\r\nbody\r\n0\r\n#{lines.map { |line| "#{line}\r\n" }.join}\r\n"
    end

    it "are those of the header: lines", id: %w[RS3 ST11] do
      expect(cut_body(raising(trailing("A: 1", "B: 2"), max_headers: 2)).last).to be_nil
      app = raising(trailing("A: 1", "B: 2", "C: 3"), max_headers: 2)
      expect_cut(app, "body", /3 trailer lines, 2 .*\(max_headers\)/)
    end

    it "are those of the header: bytes", id: %w[RS3 ST11] do
      line = "X-Long: #{"v" * 190}" # and its end: 200
      expect(cut_body(raising(trailing(line), max_header_bytes: 200)).last).to be_nil
      expect_cut(raising(trailing("#{line}v"), max_header_bytes: 200), "body",
                 /201 bytes of trailer lines.*\(max_header_bytes\)/)
    end

    it "are 16 KiB whatever the setting", id: "RS3" do
      most = 16_384 - 1 - "X-Long: \r\n\r\n".bytesize
      expect(cut_body(raising(trailing("X-Long: #{"v" * most}"))).last).to be_nil
      app = raising(trailing("X-Long: #{"v" * (most + 1)}"))
      expect_cut(app, "body", /trailer lines of 16 KiB/)
    end
  end

  describe "of chunk extensions" do
    def extended(bytes)
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" \
        "4\r\nbody\r\n4;#{"x" * bytes}\r\nmore\r\n0\r\n\r\n"
    end

    it "takes less than 16 KiB in a body", id: "RS3" do
      expect(cut_body(raising(extended(16_383)))).to eq([200, "bodymore", nil])
    end

    it "cuts a body with 16 KiB of them short", id: "RS3" do
      expect_cut(raising(extended(16_384)), "body", /chunk extensions of 16 KiB/)
    end
  end

  describe "max_response_body" do
    let(:limit) { { max_response_body: 10 } }

    it "takes an announced length at the limit", id: "BL1" do
      text = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789"
      expect(fetch(raising(text, **limit)).body).to eq("0123456789")
    end

    it "answers 502 for one that is announced as longer", id: "BL1" do
      text = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n0123456789a"
      expect_refusal(raising(text, **limit), /11 bytes, 10 .*\(max_response_body\)/)
    end

    { "HEAD" => "HTTP/1.1 200 OK", "GET" => "HTTP/1.1 304 Not Modified" }.each do |method, line|
      it "does not mind the length that a #{line[9..]} to #{method} announces", id: "BL1" do
        app = linted(**limit) { answering("#{line}\r\nContent-Length: 11\r\n\r\n").url }
        expect(fetch(app, "/", method:).status).to eq(line[/ (\d+)/, 1].to_i)
      end
    end

    framings = {
      "chunked" => ["Transfer-Encoding: chunked\r\n", ->(text) { ChunkedBody.encode(text) }],
      "close-delimited" => ["", ->(text) { text }]
    }
    framings.each do |what, (field, encode)|
      it "takes a #{what} body at the limit", id: "BL1" do
        text = "HTTP/1.1 200 OK\r\n#{field}\r\n#{encode.call("0123456789")}"
        whole = start_upstream { |connection| connection.tap(&:read_head).write(text) }
        expect(fetch(linted(**limit) { whole.url }).body).to eq("0123456789")
      end

      it "cuts a longer #{what} body at the limit", id: "BL1" do
        text = "HTTP/1.1 200 OK\r\n#{field}\r\n#{encode.call("0123456789a")}"
        expect_cut(raising(text, **limit), "0123456789", /more than 10 bytes \(max_response_body\)/)
      end
    end

    it "cuts at once, though the upstream goes on for ever", id: "BL1" do
      upstream = start_upstream do |connection|
        connection.read_head
        connection.write("HTTP/1.1 200 OK\r\n\r\n")
        loop { connection.write("x" * 65_536) }
      ensure
        ended << true
      end
      app = bare(max_response_body: 1_000_000) { upstream.url }
      result = nil
      expect(elapsed { result = cut_body(app) }).to be < 10
      expect([result[1].bytesize, ended.pop]).to eq([1_000_000, true])
    end

    %i[puma unicorn].each do |kind|
      it "leaves no whole response on #{kind}", id: %w[BL1 ST2] do
        text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n0123456789a\r\n0\r\n\r\n"
        server = start_server(kind, RackupText.proxy("max_response_body: 10"),
                              env: { "UPSTREAM" => answering(text).url("") })
        client = connect(server)
        client.get
        response = client.read_response
        expect([response.status, response.body]).to eq([200, "0123456789"])
        expect(response).not_to be_complete
      end
    end
  end

  describe "max_request_body" do
    let(:echo) { serving { |request| [200, {}, request.body] } }

    def post(app, body, **more)
      fetch(app, "/", { method: "POST", input: body }.merge(more))
    end

    # An env of which the length is not known.
    def chunked(body)
      env_for("/", :method => "POST", "HTTP_TRANSFER_ENCODING" => "chunked", :input => body)
        .except("CONTENT_LENGTH")
    end

    it "takes a known length at the limit", id: "BL1" do
      expect(post(linted(max_request_body: 10) { echo.url }, "0123456789").body).to eq("0123456789")
    end

    it "answers 413 for a longer one, before the upstream is asked", id: "BL1" do
      answer = post(linted(max_request_body: 10) { echo.url }, "0123456789a")
      expect([answer.status, answer.body]).to eq([413, "413 Content Too Large"])
      expect(echo.connections).to be_empty
    end

    it "raises what names the setting under raise_on_error", id: "BL1" do
      app = bare(max_request_body: 10, raise_on_error: true) { echo.url }
      error = Rack::StreamingProxy::RequestBodyTooLarge
      expect { post(app, "0123456789a") }.to raise_error(error, /10 .*\(max_request_body\)/) { |e|
        expect([e.status, e.phase, e.upstream]).to eq([413, :head, "http://#{echo.authority}"])
      }
    end

    it "takes an unknown length at the limit", id: "BL1" do
      _, _, body = bare(max_request_body: 10) { echo.url }.call(chunked("0123456789"))
      expect(read(body)).to eq("0123456789")
    end

    it "answers 413 for a longer one, of which the upstream gets no end", id: "BL1" do
      got = EventQueue.new("what the upstream got")
      upstream = start_upstream { |connection| got << connection.tap(&:read_head).read_to_end }
      input = TrickledInput.new
      call = in_thread do
        bare(max_request_body: 5_000_000) { upstream.url }
          .call(chunked("").merge("rack.input" => input)).first
      end
      upstream.wait_for_request
      input.then { |size| "x" * size }
      expect(call.value).to eq(413)
      expect(ChunkedBody.new(got.pop.first)).not_to be_complete
    end

    it "lets a client on Unicorn see the 413 of a streamed upload", id: "BL1" do
      server = start_unicorn(RackupText.proxy("max_request_body: 100000"),
                             env: { "UPSTREAM" => echo.url("") })
      client = connect(server)
      client.request("POST", "/", { "Transfer-Encoding" => "chunked" })
      client.write(ChunkedBody.encode(*Array.new(3) { "x" * 50_000 }, finish: false))
      expect(client.read_response.status).to eq(413)
      expect(echo.connections.flat_map(&:requests)).to be_empty
    end

    it "ends the body of a response that has begun", id: "BL1" do
      upstream = start_upstream do |connection|
        connection.read_head
        connection.begin_chunked
        connection.chunk("early")
        ended << connection.read_to_end
      end
      input = TrickledInput.new
      env = chunked("").merge("rack.input" => input)
      _, _, body = bare(max_request_body: 5_000_000) { upstream.url }.call(env)
      input.then { |size| "x" * size }
      expect { read(body) }
        .to raise_error(Rack::StreamingProxy::BodyError, /max_request_body/) { |error|
          expect([error.status, error.phase]).to eq([413, :body])
        }
      expect(ChunkedBody.new(ended.pop.first)).not_to be_complete
    end

    it "is not reached by what the client sends beyond its Content-Length" do
      app = bare(max_request_body: 3) { echo.url }
      env = env_for("/", :method => "POST", :input => "abcdef", "CONTENT_LENGTH" => "3")
      expect(read(app.call(env).last)).to eq("abc")
    end

    it "counts anew when the body is sent again", id: %w[BL1 RT4] do
      answers = [[503, {}, ""], [200, {}, "done"]]
      upstream = serving { answers.shift }
      app = bare(max_request_body: 100_000, num_retries_on_5xx: 1, retry_delay: 0.01) do
        upstream.url
      end
      status, _, body = app.call(chunked("x" * 100_000))
      expect([status, read(body)]).to eq([200, "done"])
    end
  end
end
