# frozen_string_literal: true

RSpec.describe Rack::StreamingProxy::Proxy, "and upstreams behind a Unix socket" do
  include ConnectionEffects

  def through(path, url = "http://app.test/x?y=1", **settings)
    bare(socket: path, **settings) { url }
  end

  it "takes Host and path from the URL, and connections from the socket", id: "CN8" do
    upstream = serving(socket: unix_socket) { |request| [200, {}, request.body] }
    app = through(unix_socket)
    answers = Array.new(2) { fetch(app, "/", method: "POST", input: "p" * 100_000).body }
    expect(answers).to eq(["p" * 100_000] * 2)
    expect(upstream.requests.map { |head| [head.target, head["host"]] })
      .to eq([["/x?y=1", "app.test"]] * 2)
    expect(upstream.connections.size).to eq(1)
  end

  it "speaks TLS through it to an https URL", id: %w[CN7 CN8] do
    authority = TestAuthority.new
    serving(socket: unix_socket, tls: authority.context(names: "DNS:app.test")) { [200, {}, "tls"] }
    app = through(unix_socket, "https://app.test/", ca_file: authority.file)
    expect(fetch(app).body).to eq("tls")
  end

  it "does not resolve the URL's host", id: "SS5" do
    serving(socket: unix_socket) { [200, {}, "here"] }
    expect(fetch(through(unix_socket, "http://no.such.host.invalid/")).body).to eq("here")
  end

  it "keeps its connections apart from those to the host itself", id: "CN4" do
    behind = serving(socket: unix_socket) { [200, {}, "socket"] }
    host = serving { [200, {}, "host"] }
    app = bare { |request| Rack::StreamingProxy::Target.new(host.url, **options(request)) }
    bodies = %w[/socket /host /socket /host].map { |path| fetch(app, path).body }
    expect(bodies).to eq(%w[socket host socket host])
    expect([behind, host].map { |upstream| upstream.connections.size }).to eq([1, 1])
  end

  def options(request)
    request.path == "/socket" ? { socket: unix_socket } : {}
  end

  it "says which socket nothing listens at", id: "CN8" do
    expect { fetch(through(unix_socket, raise_on_error: true)) }
      .to raise_error(Rack::StreamingProxy::ConnectError) { |error|
        expect(error.message).to include("http://app.test", unix_socket, "ENOENT")
        expect(error.cause).to be_a(Errno::ENOENT)
      }
    expect(fetch(through(unix_socket)).body).not_to include("sock")
  end

  it "notices that the upstream cut its answer short", id: "ST2" do
    keep(RawUpstream.new(socket: unix_socket) do |connection|
      connection.read_head
      connection.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    end)
    expect { fetch(through(unix_socket)) }.to raise_error(Rack::StreamingProxy::BodyError)
  end
end
