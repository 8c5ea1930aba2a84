# frozen_string_literal: true

# What an upstream says before its final response: 103 is told to the client where its server can,
# all others end at the proxy.
RSpec.describe "Interim responses" do
  link = "Link: </style.css>; rel=preload"
  hints = "HTTP/1.1 103 Early Hints\r\n#{link}\r\nLink: </app.js>; rel=preload\r\n\r\n"
  final = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone"

  # An upstream that answers each request of a connection with the next of these texts.
  def saying(*texts)
    start_upstream { |connection| texts.each { |text| connection.tap(&:read_head).write(text) } }
  end

  def hinting_server(kind, upstream)
    start_server(kind, RackupText.proxy, more: "early_hints true",
                                         env: { "UPSTREAM" => upstream.url("") })
  end

  # The answer to a request whose hints are taken down, and these.
  def told(app)
    seen = []
    [fetch(app, "/", "rack.early_hints" => ->(headers) { seen << headers }), seen]
  end

  %i[puma unicorn].each do |kind|
    context "on #{kind} with early hints" do
      it "reach the client as a 103 before the final response", id: "ST10" do
        go = EventQueue.new("the client's having read the 103")
        upstream = start_upstream do |connection|
          connection.read_head
          connection.write(hints)
          go.pop
          connection.write(final)
        end
        client = connect(hinting_server(kind, upstream))
        client.get
        head = client.read_head
        expect(head.first_line).to eq("HTTP/1.1 103 Early Hints")
        expect(head.all("link").flat_map { |line| line.split(", ") })
          .to eq(["</style.css>; rel=preload", "</app.js>; rel=preload"])
        go << true
        response = client.read_response
        expect([response.status, response.body]).to eq([200, "done"])
      end

      it "do not reach a client of HTTP/1.0", id: "ST10" do
        client = connect(hinting_server(kind, saying(hints + final)))
        client.get("/", {}, version: "1.0")
        expect(client.read_to_end.first).to match(%r{\AHTTP/1\.\d 200 OK\r\n.*done\z}m)
                                        .and(satisfy { |text| !text.include?("103") })
      end
    end
  end

  it "end here where the server has no way to tell", id: "ST10" do
    server = start_puma(RackupText.proxy, env: { "UPSTREAM" => saying(hints + final).url("") })
    client = connect(server)
    client.get
    expect(client.read_head.status).to eq(200)
  end

  it "end here when they are no 103", id: "ST10" do
    others = [100, 102, 104, 199].map { |status| "HTTP/1.1 #{status} X\r\n#{link}\r\n\r\n" }.join
    app = linted { saying(others + final).url }
    answer, seen = told(app)
    expect([answer.status, answer.body, seen]).to eq([200, "done", []])
  end

  it "are told with end-to-end fields only", id: "ST10" do
    fields = ["X-Accel-Redirect: /secret", "Connection: X-Hop", "X-Hop: 1", "Keep-Alive: 5",
              "Content-Length: 3", "Status: 500", link]
    text = "HTTP/1.1 103 Early Hints\r\n#{fields.join("\r\n")}\r\n\r\n"
    _, seen = told(linted { saying(text + final).url })
    expect(seen.map { |headers| header_lines(headers) })
      .to eq([{ "link" => ["</style.css>; rel=preload"] }])
  end

  it "with no such field are not told", id: "ST10" do
    upstream = saying("HTTP/1.1 103 Early Hints\r\nX-Accel-Redirect: /\r\n\r\n#{final}")
    answer, seen = told(linted { upstream.url })
    expect([answer.body, seen]).to eq(["done", []])
  end

  it "have several lines of a name in the shape of the running Rack" do
    _, seen = told(linted { saying(hints + final).url })
    expect(header_lines(seen.first))
      .to eq("link" => ["</style.css>; rel=preload", "</app.js>; rel=preload"])
  end

  it "change nothing when telling the client fails" do
    logger = InProcessCalls::RecordingLogger.new
    app = linted(logger:) { saying(hints + final).url }
    answer = fetch(app, "/", "rack.early_hints" => ->(_) { raise "no hints today" })
    expect([answer.status, answer.body]).to eq([200, "done"])
    failed = logger.lines.grep(/rack\.early_hints failed: RuntimeError: no hints today/)
    expect(failed.size).to eq(1)
  end

  it "of each attempt come before the head, in their order", id: "ST10" do
    attempts = [1, 2].map { |n| "HTTP/1.1 103 Early Hints\r\nLink: <#{n}>\r\n\r\n" }
    upstream = saying("#{attempts[0]}HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n",
                      attempts[1] + final)
    app = linted(num_retries_on_5xx: 1, retry_delay: 0.01) { upstream.url }
    answer, seen = told(app)
    expect([answer.status, seen.map { |headers| header_lines(headers)["link"] }])
      .to eq([200, [%w[<1>], %w[<2>]]])
  end

  it "leave the connection fit for the next request", id: "CN1" do
    upstream = saying(hints + final, final)
    app = linted { upstream.url }
    expect(Array.new(2) { fetch(app).body }).to eq(%w[done done])
    expect(upstream.connections.size).to eq(1)
  end

  describe "in number" do
    def answer_after(count, kind: "100 Continue", **settings)
      ended = EventQueue.new("end of the connection")
      upstream = start_upstream do |connection|
        connection.read_head
        count.times { connection.write("HTTP/1.1 #{kind}\r\n\r\n") }
        connection.write("HTTP/1.1 204 X\r\n\r\n")
        ended << connection.wait_for_end
      end
      [bare(raise_on_error: true, **settings) { upstream.url }, ended]
    end

    ["100 Continue", "102 Processing", "103 Early Hints"].each do |kind|
      it "may be as many as max_interim_responses, #{kind} too", id: "RS3" do
        app, = answer_after(3, kind:, max_interim_responses: 3)
        expect(fetch(app).status).to eq(204)
      end

      it "may not be one more than that, #{kind} too", id: "RS3" do
        app, ended = answer_after(4, kind:, max_interim_responses: 3)
        expect { fetch(app) }.to raise_error(Rack::StreamingProxy::ProtocolError,
                                             /more interim.* 3 .*\(max_interim_responses\)/)
        expect(ended.pop).to be_truthy
      end
    end

    it "count anew in each attempt", id: "RS3" do
      interim = "HTTP/1.1 102 Processing\r\n\r\n" * 2
      upstream = saying("#{interim}HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n",
                        interim + final)
      settings = { max_interim_responses: 2, num_retries_on_5xx: 1, retry_delay: 0.01 }
      expect(fetch(linted(**settings) { upstream.url }).body).to eq("done")
    end

    it "are refused at once when they never end", id: "RS3" do
      ended = EventQueue.new("end of the flood")
      upstream = start_upstream do |connection|
        connection.read_head
        loop { connection.write("HTTP/1.1 102 Processing\r\n\r\n" * 1000) }
      ensure
        ended << true
      end
      answer = nil
      expect(elapsed { answer = fetch(linted { upstream.url }) }).to be < 10
      expect(answer.status).to eq(502)
      expect(ended.pop).to be(true)
    end
  end

  it "have the limits of header lines", id: "RS3" do
    lines = Array.new(4) { |n| "X-#{n}: v\r\n" }.join
    upstream = saying("HTTP/1.1 102 Processing\r\n#{lines}\r\n#{final}")
    app = bare(raise_on_error: true, max_headers: 3) { upstream.url }
    expect { fetch(app) }.to raise_error(Rack::StreamingProxy::ProtocolError, /max_headers/)
  end
end
