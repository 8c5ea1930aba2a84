# frozen_string_literal: true

require "digest/sha2"

RSpec.describe Rack::StreamingProxy::Proxy, "and upstreams that speak HTTP/2" do
  once do
    @authority = TestAuthority.new
    @nginx = keep(NginxProcess.new(authority: @authority))
    @nginx.serve("big", Random.bytes(3_000_000))
  end

  def proxy(url, **settings)
    linted(ca_file: @authority.file, **settings) { url }
  end

  def protocol(url, **settings)
    fetch(proxy(url, **settings)).body.split
  end

  it "speaks it over TLS where the upstream chooses it", id: "CN10" do
    expect(protocol(@nginx.tls_url("/protocol")).first).to eq("HTTP/2.0")
  end

  it "speaks it by prior knowledge, with and without TLS", id: "CN10" do
    urls = [@nginx.http2_url("/protocol"), @nginx.tls_url("/protocol")]
    expect(urls.map { |url| protocol(url, http2: :always).first }).to eq(["HTTP/2.0"] * 2)
  end

  it "speaks HTTP/1.1 without TLS, and where it is told to", id: "CN10" do
    expect(protocol(@nginx.url("/protocol")).first).to eq("HTTP/1.1")
    expect(protocol(@nginx.tls_url("/protocol"), http2: :never).first).to eq("HTTP/1.1")
  end

  it "speaks HTTP/1.1 where a TLS upstream chooses that, or nothing", id: "CN10" do
    { "http/1.1" => ["http/1.1"], "nothing" => nil }.each_value do |protocols|
      context = @authority.context
      context.alpn_select_cb = ->(offered) { (offered & protocols).first } if protocols
      upstream = serving(tls: context) { [200, {}, "one"] }
      expect(fetch(proxy(upstream.url)).body).to eq("one")
    end
  end

  it "is a TlsError when HTTP/2 is asked for and not offered", id: "CN10" do
    upstream = serving(tls: @authority.context) { [200, {}, "one"] }
    app = bare(ca_file: @authority.file, http2: :always, raise_on_error: true) { upstream.url }
    expect { fetch(app) }.to raise_error(Rack::StreamingProxy::TlsError, %r{HTTP/2})
  end

  it "asks many things over one connection", id: "CN10" do
    app = proxy(@nginx.tls_url("/protocol"), idle_connection_timeout: 14)
    answers = Array.new(20) { in_thread { fetch(app).body.split } }.map(&:value)
    expect(answers.map { |_, connection| connection }.uniq.size).to eq(1)
  end

  it "sends the URL's authority, or the client's Host where that is to be preserved", id: "FW1" do
    url = @nginx.tls_url("/protocol")
    expect(protocol(url).last).to eq("127.0.0.1")
    answer = fetch(proxy(url, preserve_host: true), "/", "HTTP_HOST" => "front.test")
    expect(answer.body.split.last).to eq("front.test")
  end

  it "streams large bodies unchanged", id: "RS4" do
    body = fetch(proxy(@nginx.tls_url("/big"))).body
    expected = Digest::SHA256.file(File.join(@nginx.directory, "files", "big")).hexdigest
    expect(Digest::SHA256.hexdigest(body)).to eq(expected)
  end

  it "passes HEAD, 204 and a status without a body", id: "RS1" do
    head = fetch(proxy(@nginx.tls_url("/big")), "/", method: "HEAD")
    expect([head.status, head["Content-Length"], head.body]).to eq([200, "3000000", ""])
    expect(fetch(proxy(@nginx.tls_url("/empty"))).status).to eq(204)
  end

  it "passes an upload and its early refusal", id: "ST6" do
    app = proxy(@nginx.tls_url("/big"))
    answer = fetch(app, "/", method: "PUT", input: "x" * 2_000_000)
    expect(answer.status).to eq(413)
    expect(fetch(app).status).to eq(200)
  end

  it "does not mix connections of HTTP/2 and HTTP/1", id: "CN4" do
    url = @nginx.tls_url("/protocol")
    expect(%i[auto never auto].map { |mode| protocol(url, http2: mode).first })
      .to eq(%w[HTTP/2.0 HTTP/1.1 HTTP/2.0])
  end
end
