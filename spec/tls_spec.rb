# frozen_string_literal: true

RSpec.describe Rack::StreamingProxy::Proxy, "and https" do
  include TlsPeers

  def status_of(url, **settings)
    fetch(linted(ca_file: authority.file, **settings) { url }).status
  end

  it "reaches an upstream that the given authority vouches for", id: "CN7" do
    upstream = secure
    answer = fetch(linted(ca_file: authority.file) { upstream.url }, "/",
                   method: "POST", input: "x" * 100_000)
    expect([answer.status, answer.body]).to eq([200, "got #{"x" * 100_000}"])
  end

  it "verifies the name that the URL says", id: "CN7" do
    upstream = secure(names: "DNS:localhost")
    expect(status_of("https://localhost:#{upstream.port}/")).to eq(200)
    expect(status_of(upstream.url)).to eq(502)
  end

  it "verifies the address that the URL says", id: "CN7" do
    upstream = secure(names: "IP:127.0.0.1")
    expect(status_of(upstream.url)).to eq(200)
    expect(status_of("https://localhost:#{upstream.port}/")).to eq(502)
  end

  it "does not take an address for a name", id: "CN7" do
    expect(status_of(secure(names: "DNS:127.0.0.1").url)).to eq(502)
  end

  it "does not look for the name in the subject", id: "CN7" do
    upstream = serving(tls: authority.issue("localhost").context) { [200, {}, ""] }
    expect(status_of("https://localhost:#{upstream.port}/")).to eq(502)
  end

  it "does not trust the system's authorities beside those of ca_file, or the reverse",
     id: "CN7" do
    upstream = secure
    expect(status_of(upstream.url, ca_file: TestAuthority.new("Other").file)).to eq(502)
    expect(status_of(upstream.url, ca_file: nil)).to eq(502)
    expect(upstream.requests).to be_empty
  end

  it "trusts every authority of a ca_file with several", id: "CN7" do
    both = TestCertificate.file(TestAuthority.new("Other").pem, authority.pem)
    expect(status_of(secure.url, ca_file: both)).to eq(200)
  end

  # Those that OpenSSL makes say of themselves that they are an authority's.
  [{}, { "basicConstraints" => "critical,CA:TRUE" }].each do |extensions|
    describe "with a self-signed certificate as ca_file (#{extensions})" do
      def own(names: TestAuthority::NAMES, extensions: {}, **options)
        all = { "subjectAltName" => names }.merge(extensions)
        TestCertificate.new("own", extensions: all, **options)
      end

      def status_with(certificate)
        upstream = serving(tls: certificate.context) { [200, {}, ""] }
        status_of(upstream.url, ca_file: certificate.file)
      end

      it "reaches the upstream that shows it", id: "CN7" do
        expect(status_with(own(extensions:))).to eq(200)
      end

      it "verifies the name", id: "CN7" do
        expect(status_with(own(extensions:, names: "DNS:other.test"))).to eq(502)
      end

      it "verifies the time", id: "CN7" do
        expect(status_with(own(extensions:, valid: -7200..-60))).to eq(502)
      end

      it "does not reach one that shows another of the same name", id: "CN7" do
        upstream = serving(tls: own(extensions:).context) { [200, {}, ""] }
        expect(status_of(upstream.url, ca_file: own(extensions:).file)).to eq(502)
      end
    end
  end

  it "asks nothing of the certificate with verify_ssl: false", id: "CN7" do
    upstream = secure(names: "DNS:other.test", valid: -7200..-60)
    expect(fetch(linted(verify_ssl: false) { upstream.url }).status).to eq(200)
    own = serving(tls: TestCertificate.new("own").context) { [200, {}, ""] }
    expect(fetch(linted(verify_ssl: false) { own.url }).status).to eq(200)
  end

  it "speaks TLS 1.2 and 1.3, and with min_tls_version only what is new enough", id: "CN7" do
    upstreams = %w[1.2 1.3].map { |version| secure(&only(version)) }
    all = %w[1.2 1.3] + %w[TLS1_2 TLS1_3].map(&:to_sym)
    statuses = all.map do |least|
      upstreams.map { |upstream| status_of(upstream.url, min_tls_version: least) }
    end
    expect(statuses).to eq([[200, 200], [502, 200], [200, 200], [502, 200]])
  end

  describe "the server name in the handshake" do
    let(:names) { [] }

    # An upstream that notes the names that are sent.
    def noting(certified)
      secure(names: certified) do |context|
        context.servername_cb = proc { |_socket, name| (names << name) && nil }
      end
    end

    it "is the URL's host", id: "CN7" do
      upstream = noting("DNS:localhost")
      expect(status_of("https://localhost:#{upstream.port}/")).to eq(200)
      expect(names).to eq(["localhost"])
    end

    it "is none for an address", id: "CN7" do
      upstream = noting("IP:127.0.0.1")
      expect(status_of(upstream.url)).to eq(200)
      expect(names).to be_empty
    end

    it "is none with tls_sni: false, and the URL's host is verified", id: "CN7" do
      upstream = noting("DNS:localhost")
      expect(status_of("https://localhost:#{upstream.port}/", tls_sni: false)).to eq(200)
      expect(status_of(upstream.url, tls_sni: false)).to eq(502)
      expect(names).to be_empty
    end

    it "is that of tls_sni, which is verified", id: "CN7" do
      upstream = noting("DNS:inner.test")
      expect(status_of(upstream.url, tls_sni: "inner.test")).to eq(200)
      expect(status_of("https://localhost:#{upstream.port}/", tls_sni: "inner.test")).to eq(200)
      expect(status_of(upstream.url, tls_sni: "other.test")).to eq(502)
      expect(names).to eq(%w[inner.test inner.test other.test])
    end

    it "is sent, but not verified, with verify_ssl: false", id: "CN7" do
      upstream = noting("DNS:inner.test")
      expect(status_of(upstream.url, verify_ssl: false, tls_sni: "other.test")).to eq(200)
      expect(names).to eq(["other.test"])
    end

    it "is not the client's Host", id: "FW1" do
      upstream = noting("DNS:localhost")
      app = linted(ca_file: authority.file, preserve_host: true) do
        "https://localhost:#{upstream.port}/"
      end
      expect(fetch(app, "/", "HTTP_HOST" => "front.test").status).to eq(200)
      expect(upstream.wait_for_request["host"]).to eq("front.test")
      expect(names).to eq(["localhost"])
    end
  end

  it "streams over TLS as it comes" do
    step = EventQueue.new
    upstream = start_upstream(tls: authority.context) do |connection|
      connection.read_head
      connection.begin_chunked
      3.times do |number|
        connection.chunk("tick #{number}")
        step.pop
      end
      connection.end_chunked
    end
    _, _, body = bare(ca_file: authority.file) { upstream.url }.call(env_for)
    seen = []
    body.each { |chunk| step << (seen << chunk) }
    body.close
    expect(seen).to eq(["tick 0", "tick 1", "tick 2"])
  end
end
