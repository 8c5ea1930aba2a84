# frozen_string_literal: true

# Most specs run between two Rack::Lint; these are the shapes that others do not have.
RSpec.describe Rack::StreamingProxy::Proxy, "between Rack::Lint" do
  let(:upstream) do
    serving do |request|
      [200, { "Content-Type" => "text/plain", "X-Tab" => "a\tb", "X-Folded" => "x",
              "Set-Cookie" => %w[a=1 b=2], "Server" => "s" }, request.body]
    end
  end

  it "is clean for every status without a body" do
    [204, 304].each do |status|
      bodyless = serving { "HTTP/1.1 #{status} X\r\nContent-Type: text/plain\r\n\r\n" }
      expect(fetch(linted { bodyless.url }).status).to eq(status)
    end
  end

  it "is clean for HEAD" do
    head = serving { "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n" }
    expect(fetch(linted { head.url }, "/", method: "HEAD").body).to eq("")
  end

  it "is clean for a value with a tab, which Rack 2.2 forbids" do
    expect(fetch(linted { upstream.url })["X-Tab"]).to match(/\Aa[ \t]b\z/)
  end

  it "is clean for the answers that it makes itself" do
    refused = "http://127.0.0.1:#{closed_port}/"
    expect(fetch(linted { refused }).status).to eq(502)
    expect(fetch(linted { upstream.url }, "/", "REQUEST_METHOD" => "CONNECT").status).to eq(405)
  end

  it "is clean on a real server" do
    server = start_puma(RackupText.proxy(above: "use Rack::Lint", below: "use Rack::Lint"),
                        env: { "UPSTREAM" => upstream.url("") })
    client = connect(server)
    client.request("POST", "/", {}, "x" * 50_000)
    response = client.read_response
    expect([response.status, response.body.bytesize]).to eq([200, 50_000])
    expect(response.head.all("set-cookie")).to eq(%w[a=1 b=2])
    expect(client.tap { client.get("/__pid") }.read_response.status).to eq(200)
  end

  it "streams through ConditionalGet, Head and CommonLogger" do
    step = EventQueue.new
    ticking = start_upstream do |connection|
      connection.read_head
      connection.begin_chunked(200, "Content-Type" => "text/plain")
      2.times do |number|
        connection.chunk("tick #{number}")
        step.pop
      end
      connection.end_chunked
    end
    app = Rack::CommonLogger.new(Rack::Head.new(Rack::ConditionalGet.new(linted do
                                                                           ticking.url
                                                                         end)), Logger.new(nil))
    _, _, body = app.call(env_for)
    seen = []
    body.each { |chunk| step << (seen << chunk) }
    body.close
    expect(seen).to eq(["tick 0", "tick 1"])
  end
end
