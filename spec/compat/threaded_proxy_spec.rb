# frozen_string_literal: true

require "active_support"
require "active_support/notifications"
require "rack/streaming_proxy/compat/threaded_proxy"

# What rails-threaded-proxy's own suite asks for, and what it does wrong.
RSpec.describe ThreadedProxy do
  # Status line, headers in lower case, body.
  def parsed(raw)
    head, body = raw.split("\r\n\r\n", 2)
    status, *lines = head.split("\r\n")
    [status, lines.to_h { |line| line.split(": ", 2) }.transform_keys(&:downcase), body]
  end

  # Runs a client to its end.
  # @return [Array(String, Hash, String)]
  def started(url, options = {}, &configure)
    sink = StringIO.new
    ThreadedProxy::Client.new(url, { logger: Logger.new(nil) }.merge(options), &configure)
                         .start(sink)
    expect(sink).to be_closed
    parsed(sink.string)
  end

  def upstream
    @upstream ||= serving do |request|
      [200, { "Content-Type" => "text/plain", "Set-Cookie" => %w[a=1 b=2] },
       "Received request: #{request.head.raw[/\S+/]} #{request.head.target} #{request.body}".rstrip]
    end
  end

  describe "Client" do
    it "proxies a GET request" do
      expect(started(upstream.url("/get"))).to match(
        ["HTTP/1.1 200 OK", include("connection" => "close"), "Received request: GET /get"]
      )
    end

    it "proxies a POST request with content-length" do
      _, headers, body = started(upstream.url("/post"), method: "post", body: "hello world")
      expect([headers["content-type"], body])
        .to eq(["text/plain", "Received request: POST /post hello world"])
      expect(upstream.wait_for_request["content-length"]).to eq("11")
    end

    %w[get post put patch delete options propfind].each do |verb|
      it "knows the method #{verb}" do
        expect(started(upstream.url, method: verb).last)
          .to eq("Received request: #{verb.upcase} /")
      end
    end

    it "asks in origin form, and for no coding that the client has not asked for" do
      started(upstream.url("/a?b=c"))
      request = upstream.wait_for_request
      expect([request.target, request["accept-encoding"]]).to eq(["/a?b=c", nil])
    end

    it "sends what an IO has, and takes its length from a header" do
      reader, writer = IO.pipe
      writer << "five!" << "more"
      body = started(upstream.url, method: :put, body: reader,
                                   headers: { "Content-Length" => "5" }).last
      expect(body).to eq("Received request: PUT / five!")
    ensure
      [reader, writer].each(&:close)
    end

    it "leaves the caller's options and headers as they were" do
      options = { headers: { "X-A" => "1" }.freeze, method: :get }.freeze
      headers = { "X-B" => "2" }.freeze
      started(upstream.url, options) do |config|
        config.on_response { |_, responder| responder.render(text: "own", headers:) }
      end
      expect(options.keys).to eq(%i[headers method])
    end

    it "writes to a real socket, too" do
      server, client = UNIXSocket.pair.map { |socket| closing(socket) }
      ThreadedProxy::Client.new(upstream.url("/get"), logger: Logger.new(nil)).start(server)
      expect(parsed(client.read).last).to eq("Received request: GET /get")
    end

    it "refuses what is no URL, before anything is asked" do
      expect { ThreadedProxy::Client.new("localhost") }
        .to raise_error(Rack::StreamingProxy::ConfigurationError, /is no URL/)
    end

    it "shows that a body was cut short, and says so" do
      cut = start_upstream do |connection|
        connection.read_head
        connection.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello")
      end
      sink = StringIO.new
      client = ThreadedProxy::Client.new(cut.url, logger: Logger.new(nil))
      expect { client.start(sink) }.to raise_error(EOFError)
      expect(parsed(sink.string)).to match([/200/, include("content-length" => "9"), "hello"])
    end
  end

  describe "on_headers" do
    it "changes the response's headers" do
      status, headers, body = started(upstream.url("/get")) do |config|
        config.on_headers { |response| response["X-Test"] = "test" }
      end
      expect([status, headers["x-test"], headers["connection"], body])
        .to eq(["HTTP/1.1 200 OK", "test", "close", "Received request: GET /get"])
    end

    it "may close the socket, and nothing is sent" do
      sink = StringIO.new
      ThreadedProxy::Client.new(upstream.url, logger: Logger.new(nil)) do |config|
        config.on_headers { |_, socket| socket.close }
      end.start(sink)
      expect(sink.string).to eq("")
    end
  end

  describe "on_complete" do
    it "is called when the response has been sent" do
      codes = []
      started(upstream.url) do |config|
        config.on_complete { |response| codes << response.code }
      end
      expect(codes).to eq(["200"])
    end
  end

  describe "on_error" do
    let(:refused) { "http://127.0.0.1:#{closed_port}/" }

    it "gets the system's error, and the client a 500" do
      error = nil
      status, headers, body = started(refused) { |config| config.on_error { |e| error = e } }
      expect(error).to be_a(Errno::ECONNREFUSED)
      expect([status, headers["content-type"], body])
        .to eq(["HTTP/1.1 500 Internal Server Error", "text/plain; charset=utf-8",
                "Internal Server Error"])
    end

    it "may answer by itself" do
      status, headers, body = started(refused) do |config|
        config.on_error { |_, responder| responder.render(status: 404, text: "Custom error") }
      end
      expect([status, headers["content-type"], headers["content-length"], body])
        .to eq(["HTTP/1.1 404 Not Found", "text/plain; charset=utf-8", "12", "Custom error"])
    end

    it "is raised by `start` where there is none, with the socket closed" do
      sink = StringIO.new
      client = ThreadedProxy::Client.new(refused, logger: Logger.new(nil))
      expect { client.start(sink) }.to raise_error(Errno::ECONNREFUSED)
      expect(sink).to be_closed
    end
  end

  describe "on_response" do
    def answered(**answer)
      started(upstream.url("/get")) do |config|
        config.on_response { |_, responder| responder.render(**answer) }
      end
    end

    it "may read the response and answer with another" do
      status, headers, body = started(upstream.url("/get")) do |config|
        config.on_response do |response, responder|
          responder.render(status: 200, json: { body: response.body },
                           headers: { "x-passed": "yes" })
        end
      end
      expect([status, headers["content-type"], headers["x-passed"], JSON.parse(body)])
        .to eq(["HTTP/1.1 200 OK", "application/json; charset=utf-8", "yes",
                { "body" => "Received request: GET /get" }])
    end

    it "answers with an IO or with JSON, and tells the length" do
      status, headers, body = answered(status: 200, body: StringIO.new("this is IO"))
      expect([status, headers["content-length"], body])
        .to eq(["HTTP/1.1 200 OK", "10", "this is IO"])
      expect(answered(json: { key: "value" }).last).to eq('{"key":"value"}')
    end

    it "redirects" do
      status, headers, = started(upstream.url("/get")) do |config|
        config.on_response { |_, responder| responder.redirect_to("http://example.com") }
      end
      expect([status, headers["location"]]).to eq(["HTTP/1.1 302 Found", "http://example.com"])
    end

    it "leads to on_error when it raises" do
      error = nil
      status, _, body = started(upstream.url("/get")) do |config|
        config.on_response { raise "error in on_response" }
        config.on_error { |e| error = e }
      end
      expect([status, body, error.message])
        .to eq(["HTTP/1.1 500 Internal Server Error", "Internal Server Error",
                "error in on_response"])
    end

    it "has to answer when it has read the body" do
      client = ThreadedProxy::Client.new(upstream.url("/get"), logger: Logger.new(nil)) do |config|
        config.on_response { |response, _| response.body }
      end
      expect { client.start(StringIO.new) }
        .to raise_error(ThreadedProxy::ResponseBodyAlreadyConsumedError)
    end

    it "finds all lines of a header" do
      lines = nil
      started(upstream.url) do |config|
        config.on_response { |response| lines = response.get_fields("Set-Cookie") }
      end
      expect(lines).to eq(%w[a=1 b=2])
    end
  end

  it "tells subscribers of threaded_proxy.fetch" do
    payloads = []
    ActiveSupport::Notifications.subscribed(->(*, payload) { payloads << payload },
                                            "threaded_proxy.fetch") do
      started(upstream.url("/get"), headers: { "X-A" => "1" })
    end
    expect(payloads).to eq([{ method: "get", url: upstream.url("/get"),
                              headers: { "X-A" => "1" } }])
  end

  it "adds no action to a controller" do
    [described_class::Controller, Rack::StreamingProxy::Controller].each do |controller|
      expect(controller.public_instance_methods).to contain_exactly(:to_a)
    end
  end

  describe "Controller#proxy_options_from_request" do
    def options(env)
      request = Struct.new(:env, :body_stream).new(env, :stream)
      Struct.new(:request) { include ThreadedProxy::Controller }
            .new(request).send(:proxy_options_from_request)
    end

    it "tells how the client's body is framed" do
      expect(options("HTTP_TRANSFER_ENCODING" => "chunked"))
        .to eq(headers: { "Transfer-Encoding" => "chunked" }, body: :stream)
      expect(options("CONTENT_LENGTH" => "5", "CONTENT_TYPE" => "application/json"))
        .to eq(headers: { "content-length" => "5", "Content-Type" => "application/json" },
               body: :stream)
      expect(options("CONTENT_LENGTH" => "5"))
        .to eq(headers: { "content-length" => "5" }, body: :stream)
    end

    it "raises where that is not known" do
      expect { options({}) }
        .to raise_error("Cannot proxy a non-chunked POST request without content-length")
    end
  end
end
