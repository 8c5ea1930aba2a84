# frozen_string_literal: true

# Each clock once through a real server. How exact they are is measured in the engine, under paused
# time.
RSpec.describe "A timeout through Puma" do
  # Clients say which upstream, with which settings.
  rackup = <<~RUBY
    require "json"
    require "logger"
    require "rack/streaming_proxy"
    $stdout.sync = true
    use Rack::StreamingProxy::Proxy, logger: Logger.new($stdout) do |request|
      settings = JSON.parse(request.env.fetch("HTTP_X_SETTINGS"), symbolize_names: true)
      Rack::StreamingProxy::Target.new(request.env.fetch("HTTP_X_UPSTREAM"), **settings)
    end
    run proc { [404, {}, []] }
  RUBY

  once { @server = start_puma(rackup) }

  def ask(url, settings)
    client = connect(@server)
    client.get("/", { "X-Upstream" => url, "X-Settings" => settings.to_json })
    client
  end

  def silent_upstream
    start_upstream { |connection| connection.wait_for_end(within: 20) }
  end

  # Checks the answer, and the log's words on this upstream.
  def expect_late(url, settings, words)
    client = ask(url, settings)
    seconds = elapsed { expect(client.read_head.status).to eq(504) }
    expect(seconds).to be >= settings.values.min
    line = Regexp.escape("upstream #{url.delete_suffix("/")} #{words}")
    @server.output.wait_for(/ERROR.*#{line}$/)
  end

  it "is connect_timeout when nobody accepts", id: %w[TO1 TO2] do
    expect_late(keep(DeafListener.new).url, { connect_timeout: 0.2 },
                "did not accept a connection within 0.2 s (connect_timeout)")
  end

  it "is connect_timeout when the TLS handshake does not end", id: %w[TO1 TO2] do
    expect_late(silent_upstream.url.sub("http:", "https:"), { connect_timeout: 0.2 },
                "did not finish the TLS handshake within 0.2 s (connect_timeout)")
  end

  it "is timeout when no head comes", id: %w[TO1 TO2] do
    expect_late(silent_upstream.url, { timeout: 0.2 }, "did not answer within 0.2 s (timeout)")
  end

  it "is timeout when only interim heads come", id: "TO1" do
    upstream = start_upstream do |connection|
      connection.read_head
      connection.write("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
      connection.wait_for_end(within: 20)
    end
    expect_late(upstream.url, { timeout: 0.2 }, "did not answer within 0.2 s (timeout)")
  end

  it "has passed at once when timeout is 0, and the upstream hears nothing", id: "TO1" do
    upstream = silent_upstream
    expect_late(upstream.url, { timeout: 0 }, "did not answer within 0 s (timeout)")
    expect(upstream.connections).to be_empty
  end

  it "is total_timeout over all attempts and delays", id: %w[TO1 TO2] do
    upstream = serving { [503, {}, ""] }
    expect_late(upstream.url, { total_timeout: 1.5, num_retries_on_5xx: 99, retry_delay: 0.6 },
                "was not done within 1.5 s (total_timeout)")
    expect(upstream.requests.size).to be_between(2, 3)
  end

  it "is timeout for each attempt by itself", id: "TO1" do
    upstream = serving do
      sleep 0.8
      [503, {}, "busy"]
    end
    client = ask(upstream.url, { timeout: 2, num_retries_on_5xx: 2, retry_delay: 0 })
    expect(client.read_response.body).to eq("busy")
    expect(upstream.requests.size).to eq(3)
  end

  it "is idle_timeout when the body stalls, and the client sees the cut", id: %w[TO1 TO2 TO4] do
    upstream = start_upstream do |connection|
      connection.read_head
      connection.begin_chunked
      connection.chunk("some")
      connection.wait_for_end(within: 20)
    end
    response = ask(upstream.url, { idle_timeout: 1 }).read_response
    expect([response.status, response.body, response.complete?]).to eq([200, "some", false])
    @server.output.wait_for(/#{upstream.authority} moved no byte for 1 s \(idle_timeout\)/)
  end

  it "is total_timeout when a body goes on for too long", id: "TO1" do
    upstream = start_upstream do |connection|
      connection.read_head
      connection.begin_chunked
      100.times do
        connection.chunk("on")
        sleep 0.05
      end
    end
    response = ask(upstream.url, { total_timeout: 1.5 }).read_response
    expect([response.status, response.complete?]).to eq([200, false])
    @server.output.wait_for(/#{upstream.authority} was not done within 1\.5 s \(total_timeout\)/)
  end

  it "never cuts a stream that goes on for longer than timeout and idle_timeout", id: "TO2" do
    upstream = start_upstream do |connection|
      connection.read_head
      connection.begin_chunked
      10.times do
        connection.chunk("on")
        sleep 0.25
      end
      connection.end_chunked
    end
    response = ask(upstream.url, { timeout: 2, idle_timeout: 2 }).read_response
    expect([response.body, response.complete?]).to eq(["on" * 10, true])
  end

  it "is none when the client is slow to read", id: "TO1" do
    size = 32 << 20
    body = "x" * size
    upstream = serving { [200, {}, body] }
    client = ask(upstream.url, { timeout: 2, idle_timeout: 2 })
    length = client.read_head.content_length
    sleep 2.5 # longer than both clocks
    expect(client.read_exactly(length, within: 20).bytesize).to eq(size)
  end

  it "is none when the client is slow to send, on a server that passes uploads on", id: "TO1" do
    unicorn = start_unicorn(rackup)
    upstream = serving { |request| [200, {}, request.body] }
    settings = { timeout: 1.5, idle_timeout: 1.5 }
    client = connect(unicorn)
    client.request("POST", "/", { "X-Upstream" => upstream.url, "X-Settings" => settings.to_json,
                                  "Content-Length" => "4" })
    %w[sl ow].each do |piece|
      sleep 2
      client.write(piece)
    end
    expect(client.read_response.body).to eq("slow")
  end
end
