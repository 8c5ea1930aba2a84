# frozen_string_literal: true

RSpec.describe Rack::StreamingProxy, "and its exceptions" do
  def error_of(url, **settings)
    fetch(bare(raise_on_error: true, **settings) { url })
    nil
  rescue Rack::StreamingProxy::Failure => e
    e
  end

  def silent_upstream
    start_upstream do |connection|
      connection.read_head
      connection.wait_for_end(within: 20)
    end
  end

  it "is ConnectError when the upstream refuses", id: %w[TO3 TO4] do
    port = closed_port
    error = error_of("http://127.0.0.1:#{port}/x")
    expect(error).to be_an_instance_of(Rack::StreamingProxy::ConnectError)
    expect(error.cause).to be_a(Errno::ECONNREFUSED)
    expect(error.status).to eq(502)
    expect(error.upstream.to_s).to include("127.0.0.1:#{port}")
    expect(error.phase.to_s).to eq("connect")
    expect(error.message).to match(/127\.0\.0\.1:#{port}.*refused.*ECONNREFUSED/)
  end

  it "is ConnectError when the name is unknown", id: "TO3" do
    error = error_of("http://#{"a" * 64}.test/")
    expect(error).to be_an_instance_of(Rack::StreamingProxy::ConnectError)
    expect(error.cause).to be_a(SocketError)
    expect(error.status).to eq(502)
  end

  it "is TlsError when the certificate is not trusted", id: "TO3" do
    upstream = serving(tls: TestAuthority.new.context) { [200, {}, ""] }
    error = error_of(upstream.url)
    expect(error).to be_an_instance_of(Rack::StreamingProxy::TlsError)
    expect([error.status, error.phase.to_s]).to eq([502, "tls"])
    expect(error.message).to match(/certificate|issuer|trust/i)
  end

  it "is TimeoutError of the phase connect", id: "TO3" do
    error = error_of(keep(DeafListener.new).url, connect_timeout: 0.1)
    expect(error).to be_an_instance_of(Rack::StreamingProxy::TimeoutError)
    expect([error.status, error.phase.to_s]).to eq([504, "connect"])
  end

  it "is TimeoutError of the phase tls", id: "TO3" do
    upstream = start_upstream { |connection| connection.wait_for_end(within: 20) }
    error = error_of(upstream.url.sub("http:", "https:"), connect_timeout: 0.1)
    expect(error).to be_an_instance_of(Rack::StreamingProxy::TimeoutError)
    expect([error.status, error.phase.to_s]).to eq([504, "tls"])
  end

  it "is TimeoutError of the phase head", id: "TO3" do
    error = error_of(silent_upstream.url, timeout: 0.1)
    expect(error).to be_an_instance_of(Rack::StreamingProxy::TimeoutError)
    expect([error.status, error.phase.to_s]).to eq([504, "head"])
    expect(error.message).to include("0.1")
  end

  it "is TimeoutError of the phase total", id: "TO3" do
    error = error_of(silent_upstream.url, total_timeout: 0.1)
    expect(error).to be_an_instance_of(Rack::StreamingProxy::TimeoutError)
    expect([error.status, error.phase.to_s]).to eq([504, "total"])
  end

  it "is ProtocolError when the answer is no HTTP", id: "TO3" do
    upstream = start_upstream do |connection|
      connection.read_head
      connection.write("nonsense\r\n\r\n")
    end
    error = error_of(upstream.url)
    expect(error).to be_an_instance_of(Rack::StreamingProxy::ProtocolError)
    expect([error.status, error.phase.to_s]).to eq([502, "head"])
  end

  it "is an UpstreamError with a cause when the upstream resets", id: "TO4" do
    upstream = start_upstream do |connection|
      connection.read_head
      connection.reset
    end
    error = error_of(upstream.url)
    expect(error).to be_a(Rack::StreamingProxy::UpstreamError)
    expect(error.cause).to be_a(Errno::ECONNRESET)
    expect(error.status).to eq(502)
  end

  it "is BodyError, an EOFError, in each, with or without raise_on_error", id: %w[TO3 TO4] do
    upstream = start_upstream do |connection|
      connection.read_head
      connection.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
    end
    [true, false].each do |raise_on_error|
      _, _, body = bare(raise_on_error:) { upstream.url }.call(env_for)
      text = +""
      expect { body.each { |chunk| text << chunk } }
        .to raise_error(Rack::StreamingProxy::BodyError) { |error|
          expect(error).to be_a(EOFError)
          expect(error).to be_a(Rack::StreamingProxy::Failure)
          expect(error.upstream.to_s).to include(upstream.authority)
          expect(error.status).to eq(502)
        }
      expect(text).to eq("abc")
      body.close
    end
  end

  it "is BodyError of the phase idle when the body stalls" do
    upstream = start_upstream do |connection|
      connection.read_head
      connection.begin_chunked
      connection.chunk("x")
      connection.wait_for_end(within: 20)
    end
    error = error_of(upstream.url, idle_timeout: 0.1)
    expect(error).to be_an_instance_of(Rack::StreamingProxy::BodyError)
    expect([error.status, error.phase.to_s]).to eq([504, "idle"])
  end

  it "is BodyError of the phase body when the client's body breaks after the head" do
    upstream = start_upstream do |connection|
      connection.read_head
      connection.begin_chunked
      connection.wait_for_end
    end
    input = TrickledInput.new
    env = env_for("/", :method => "POST", "HTTP_TRANSFER_ENCODING" => "chunked")
    env = env.except("CONTENT_LENGTH").merge("rack.input" => input)
    _, _, body = bare { upstream.url }.call(env)
    input.then { raise IOError, "broken" }
    expect { read(body) }.to raise_error(Rack::StreamingProxy::BodyError, /broken/) { |error|
      expect([error.status, error.phase]).to eq([400, :body])
    }
  end

  it "is BodyError of the phase total when the body takes too long" do
    upstream = start_upstream do |connection|
      connection.read_head
      connection.begin_chunked
      100.times do
        connection.chunk("x")
        sleep 0.05
      end
    end
    error = error_of(upstream.url, total_timeout: 1.5)
    expect(error).to be_an_instance_of(Rack::StreamingProxy::BodyError)
    expect([error.status, error.phase.to_s]).to eq([504, "total"])
  end

  it "descends as documented" do
    parents = {
      "UnknownError" => "Error", "HttpServerError" => "Error", "ConfigurationError" => "Error",
      "UpstreamError" => "Error", "ConnectError" => "UpstreamError", "TlsError" => "UpstreamError",
      "TimeoutError" => "UpstreamError", "ProtocolError" => "UpstreamError",
      "DestinationRefused" => "UpstreamError", "RequestBodyError" => "UpstreamError",
      "RequestBodyTooLarge" => "RequestBodyError",
      "RequestError" => "Error", "LoopDetected" => "RequestError"
    }
    parents.each do |child, parent|
      expect(described_class.const_get(child).superclass).to eq(described_class.const_get(parent))
      expect(described_class.const_get(child)).to be < described_class::Failure
    end
    expect(described_class::Error.superclass).to eq(RuntimeError)
    expect(described_class::BodyError.superclass).to eq(EOFError)
    expect(described_class::BodyError).to be < described_class::Failure
  end
end
