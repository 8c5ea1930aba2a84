# frozen_string_literal: true

RSpec.describe Rack::StreamingProxy::Proxy, "and retries on 5xx" do
  # An upstream that fails so often, and then echoes.
  def flaky(failures, status: 503, headers: {}, body: "sorry")
    count = 0
    serving do |request|
      (count += 1) <= failures ? [status, headers, body] : [200, {}, "got #{request.body}"]
    end
  end

  def retrying(count, url, **settings)
    linted(**{ num_retries_on_5xx: count, retry_delay: 0.02 }.merge(settings)) { url }
  end

  # An input that can be read once.
  def once_readable(text)
    reader, writer = IO.pipe(binmode: true)
    closing(reader)
    in_thread do
      writer.write(text)
      writer.close
    end
    Class.new { define_method(:read) { |*arguments| reader.read(*arguments) } }.new
  end

  # An input that is rewound once, as the proxy does before it reads, and then never again.
  def rewindable_once(text, error)
    Class.new(StringIO) do
      define_method(:rewind) do
        raise error, "no way back" if @rewound

        @rewound = true
        super()
      end
    end.new(text)
  end

  def chunked_env(input)
    env_for("/", :method => "POST", "HTTP_TRANSFER_ENCODING" => "chunked")
      .except("CONTENT_LENGTH").merge("rack.input" => input)
  end

  # An upstream that refuses so many requests when some of the body has come, goes on reading
  # without an end of its answer, and answers all others.
  def upstream_refusing(times)
    @tried = EventQueue.new("attempt")
    start_upstream do |connection|
      if (times -= 1).negative?
        @tried << true
        next connection.serve { |request| [200, {}, "got #{request.body.bytesize}"] }
      end

      connection.read_head
      connection.read_some
      connection.begin_chunked(503)
      connection.chunk("busy")
      @tried << true
      connection.wait_for_end(within: 10)
    end
  end

  # An input of 512 KiB that gives 1000 bytes, goes on when the upstream has seen two attempts, and
  # cannot be rewound. (Going on after the first would race with its answer: past 64 KiB nothing is
  # tried again.)
  def interrupted_input
    tried = @tried
    pieces = ["f" * 1000] + Array.new(16) { "n" * 32_768 }
    Class.new do
      define_method(:read) do |*|
        2.times { tried.pop } if pieces.size == 16
        pieces.shift
      end
    end.new
  end

  it "does not retry by default", id: "RT1" do
    upstream = flaky(1)
    expect(fetch(linted { upstream.url }).status).to eq(503)
    expect(upstream.requests.size).to eq(1)
  end

  it "makes up to N + 1 attempts", id: "RT2" do
    upstream = flaky(2)
    answer = fetch(retrying(2, upstream.url))
    expect([answer.status, answer.body]).to eq([200, "got "])
    expect(upstream.requests.size).to eq(3)
  end

  it "then passes the 5xx on, with its body", id: "RT2" do
    upstream = flaky(9)
    answer = fetch(retrying(2, upstream.url))
    expect([answer.status, answer.body]).to eq([503, "sorry"])
    expect(upstream.requests.size).to eq(3)
  end

  it "waits retry_delay between attempts" do
    upstream = flaky(2)
    app = linted(num_retries_on_5xx: 2, retry_delay: 0.25) { upstream.url }
    expect(elapsed { fetch(app) }).to be_between(0.5, 2) # by default 2
  end

  [500, 502, 504, 599].each do |status|
    it "retries on #{status}", id: "RT2" do
      upstream = flaky(1, status:)
      expect(fetch(retrying(1, upstream.url)).status).to eq(200)
    end
  end

  [400, 404, 429, 499].each do |status|
    it "does not retry on #{status}", id: "RT2" do
      upstream = flaky(1, status:)
      expect(fetch(retrying(3, upstream.url)).status).to eq(status)
      expect(upstream.requests.size).to eq(1)
    end
  end

  it "does not retry when the upstream cannot be reached", id: "RT1" do
    app = retrying(3, "http://127.0.0.1:#{closed_port}/", retry_delay: 5)
    expect(elapsed { expect(fetch(app).status).to eq(502) }).to be < 5
  end

  it "sends a rewindable body again, whole", id: "RT4" do
    upstream = flaky(2)
    body = "b" * 300_000
    # Under Rack 3 an input between two Rack::Lint cannot be rewound.
    app = bare(num_retries_on_5xx: 2, retry_delay: 0.02) { upstream.url }
    answer = fetch(app, "/", method: "POST", input: body)
    expect(answer.body).to eq("got #{body}")
    expect(upstream.connections.sum { |connection| connection.requests.size }).to eq(3)
    expect(upstream.connections.flat_map { |connection| connection.requests.map(&:body) }.uniq)
      .to eq([body])
  end

  it "sends a body again that cannot be rewound and is at most 64 KiB", id: "RT4" do
    upstream = flaky(1)
    env = env_for("/", :method => "POST", "CONTENT_LENGTH" => "1000")
    env["rack.input"] = once_readable("k" * 1000)
    status, _, body = bare(num_retries_on_5xx: 1, retry_delay: 0.02) { upstream.url }.call(env)
    expect([status, read(body)]).to eq([200, "got #{"k" * 1000}"])
  end

  it "does not retry a longer body that cannot be rewound", id: "RT4" do
    upstream = flaky(1)
    env = env_for("/", :method => "POST", "CONTENT_LENGTH" => "100000")
    env["rack.input"] = once_readable("k" * 100_000)
    status, _, body = bare(num_retries_on_5xx: 3, retry_delay: 0.02) { upstream.url }.call(env)
    expect([status, read(body)]).to eq([503, "sorry"])
    expect(upstream.requests.size).to eq(1)
  end

  [Errno::ESPIPE, IOError].each do |error|
    it "answers 400 when the body must go again and rewinding raises #{error}" do
      upstream = flaky(1)
      app = bare(num_retries_on_5xx: 1, retry_delay: 0.02) { upstream.url }
      status, _, body = app.call(chunked_env(rewindable_once("r" * 100_000, error)))
      read(body)
      expect(status).to eq(400)
      whole = upstream.connections.flat_map(&:requests)
      expect(whole.map { |request| request.body.bytesize }).to eq([100_000])
    end
  end

  it "raises RequestBodyError for a rewind that fails, with raise_on_error" do
    upstream = flaky(1)
    app = bare(num_retries_on_5xx: 1, retry_delay: 0.02, raise_on_error: true) { upstream.url }
    env = chunked_env(rewindable_once("r" * 100_000, Errno::ESPIPE))
    expect { app.call(env) }
      .to raise_error(Rack::StreamingProxy::RequestBodyError, /no way back/)
  end

  it "sends a body again whose upload was unfinished and had taken at most 64 KiB" do
    upstream = upstream_refusing(1)
    app = bare(num_retries_on_5xx: 1, retry_delay: 0.02) { upstream.url }
    status, _, body = app.call(chunked_env(interrupted_input))
    expect([status, read(body)]).to eq([200, "got #{1000 + (512 * 1024)}"])
    expect(upstream.requests.size).to eq(2)
  end

  it "passes the last 5xx on, and no error of its own, when uploads are unfinished" do
    upstream = upstream_refusing(2)
    app = bare(num_retries_on_5xx: 1, retry_delay: 0.02) { upstream.url }
    status, _, body = app.call(chunked_env(interrupted_input))
    body.close if body.respond_to?(:close)
    expect(status).to eq(503)
    expect(upstream.requests.size).to eq(2)
  end

  it "is not held up by a discarded body that never ends", id: "CN2" do
    first = true
    upstream = start_upstream do |connection|
      if first
        first = false
        connection.read_head
        connection.begin_chunked(503)
        connection.chunk("x" * 1000)
        connection.wait_for_end(within: 10)
      else
        connection.serve { [200, {}, "fine"] }
      end
    end
    answer = nil
    expect(elapsed { answer = fetch(retrying(1, upstream.url)) }).to be < 8
    expect(answer.body).to eq("fine")
    expect(Deadline.new(10).poll { upstream.connections.first.ending }).not_to be_nil
  end

  it "reuses the connection of a discarded short body", id: "CN2" do
    upstream = flaky(2)
    fetch(retrying(2, upstream.url))
    expect(upstream.connections.size).to eq(1)
  end

  it "uses one answer only, also when several 5xx set cookies", id: "RT2" do
    upstream = flaky(1, headers: { "Set-Cookie" => "failed=1" })
    expect(fetch(retrying(1, upstream.url))["Set-Cookie"]).to be_nil
  end

  describe "with raise_on_5xx" do
    it "raises HttpServerError with status and URL after the last attempt" do
      upstream = flaky(9, status: 502)
      url = upstream.url("/x", credentials: "user:secret")
      expect { fetch(retrying(1, url, raise_on_5xx: true)) }
        .to raise_error(Rack::StreamingProxy::HttpServerError) { |error|
          expect(error.status).to eq(502)
          expect(error.url.to_s).to include("127.0.0.1:#{upstream.port}/x")
          expect("#{error.url} #{error.message}").not_to include("secret")
          expect(error.message).to include("502")
          expect(error).to be_a(Rack::StreamingProxy::Error)
          expect(error).to be_a(Rack::StreamingProxy::Failure)
        }
      expect(upstream.requests.size).to eq(2)
    end

    it "closes or frees the connection of the answer that it drops" do
      upstream = start_upstream do |connection|
        connection.read_head
        connection.begin_chunked(500)
        connection.wait_for_end(within: 10)
      end
      expect { fetch(bare(raise_on_5xx: true) { upstream.url }) }
        .to raise_error(Rack::StreamingProxy::HttpServerError)
      expect(Deadline.new(10).poll { upstream.connections.first.ending }).not_to be_nil
    end

    it "leaves other statuses alone" do
      upstream = serving { [404, {}, "nothing"] }
      expect(fetch(linted(raise_on_5xx: true) { upstream.url }).status).to eq(404)
    end
  end
end
