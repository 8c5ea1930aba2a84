# frozen_string_literal: true

# What is learnt or opened under one TLS identity serves no other: connections and sessions. And a
# file that is replaced makes another identity.
RSpec.describe Rack::StreamingProxy::Proxy, "and TLS identities" do
  include TlsPeers

  let(:resumed) { EventQueue.new("handshake") }
  let(:client) { authority.issue("client") }
  let(:other_client) { authority.issue("other client") }

  # An upstream that notes of each connection whether its session was resumed; unless `keep`, it
  # closes each after one response.
  def noting(keep: false, context: authority.context)
    context.session_id_context = "specs"
    start_upstream(tls: context) do |connection|
      resumed << connection.io.session_reused?
      connection.serve { [200, keep ? {} : { "Connection" => "close" }, ""] }
    end
  end

  # Whether each of these requests, one after another, led to a handshake, and of which kind.
  def handshakes(upstream, *settings)
    settings.each do |given|
      app = bare(ca_file: authority.file, **given) { "https://localhost:#{upstream.port}/" }
      expect(fetch(app).status).to eq(200)
    end
    Array.new(resumed.size) { resumed.pop ? :resumed : :full }
  end

  TlsPeers::VERSIONS.each_key do |version|
    it "resumes sessions over TLS #{version}", id: "CN7" do
      context = authority.context.tap(&only(version))
      expect(handshakes(noting(context:), {}, {}, {})).to eq(%i[full resumed resumed])
    end
  end

  it "resumes no session with an upstream of another name", id: "CN7" do
    upstream = noting
    app = bare(ca_file: authority.file) do |request|
      "https://#{request.path[1..]}:#{upstream.port}/"
    end
    %w[localhost 127.0.0.1 localhost].each { |host| fetch(app, "/#{host}") }
    expect(Array.new(3) { resumed.pop }).to eq([false, false, true])
  end

  another = {
    "another ca_file" => -> { { ca_file: TestCertificate.file(authority.pem) } },
    "no verification" => -> { { verify_ssl: false } },
    "no server name" => -> { { tls_sni: false } },
    "another server name" => -> { { tls_sni: "inner.test" } },
    "a client certificate" => -> { { client_cert: client.file, client_key: client.key_file } },
    "another min_tls_version" => -> { { min_tls_version: "1.3" } },
    "another http2" => -> { { http2: :never } }
  }

  another.each do |what, settings|
    it "shares no session under #{what}", id: "CN4" do
      upstream = noting(context: authority.context(names: "DNS:localhost, DNS:inner.test"))
      other = instance_exec(&settings)
      expect(handshakes(upstream, {}, other, {}, other)).to eq(%i[full full resumed resumed])
    end

    it "shares no connection under #{what}", id: "CN4" do
      context = authority.context(names: "DNS:localhost, DNS:inner.test")
      upstream = noting(keep: true, context:)
      other = instance_exec(&settings)
      expect(handshakes(upstream, {}, other, {}, other).size).to eq(2)
    end
  end

  it "shares neither between two client certificates", id: "CN4" do
    upstream = noting(keep: true, context: authority.strict_context)
    both = [client, other_client].map { |one| { client_cert: one.file, client_key: one.key_file } }
    expect(handshakes(upstream, *both, *both)).to eq(%i[full full])
    expect(upstream.connections.map { |one| one.io.peer_cert.serial })
      .to eq([client, other_client].map { |one| one.certificate.serial })
  end

  it "shares a connection under equal settings" do
    expect(handshakes(noting(keep: true), {}, {}, {})).to eq([:full])
  end

  it "shares no session with a forked child", id: "CN9" do
    upstream = noting
    result = RubyScript.run(<<~RUBY, env: { "URL" => upstream.url, "CA" => authority.file })
      require "rack/mock"
      app = Rack::StreamingProxy::Proxy.new(proc {}, logger: Logger.new(nil), ca_file: ENV["CA"]) do
        ENV["URL"]
      end
      get = proc do
        status, _, body = app.call(Rack::MockRequest.env_for("/"))
        body.each {}
        body.close
        puts status
      end
      2.times(&get)
      Process.wait(fork { 2.times(&get) })
      get.call
    RUBY
    expect(result.output).to eq("200\n" * 5)
    expect(Array.new(5) { resumed.pop }).to eq([false, true, false, true, true])
  end

  describe "when a file is replaced" do
    let(:file) { TestCertificate.file(authority.pem) }
    let(:upstream) { noting }

    # As those do who renew certificates: a new file takes the old one's name.
    def replace(*texts)
      File.rename(TestCertificate.file(*texts), file)
    end

    let(:app) { bare(ca_file: file) { upstream.url } }

    def status
      fetch(app).status
    end

    it "trusts whom the new ca_file names, and nobody else", id: "CN7" do
      other = TestAuthority.new("Other")
      statuses = [other.pem, other.pem + authority.pem].map do |text|
        status.tap { replace(text) }
      end
      expect([*statuses, status]).to eq([200, 502, 200])
      expect(Array.new(2) { resumed.pop }).to eq([false, false])
    end

    it "notices text that is written into the old one", id: "CN7" do
      expect(status).to eq(200)
      File.write(file, TestAuthority.new("Other").pem)
      expect(status).to eq(502)
    end

    it "does not go on with the old one when the new one is damaged", id: "CN7" do
      expect(status).to eq(200)
      replace("-----BEGIN CERTIFICATE-----\n")
      expect(refusal(upstream.url, ca_file: file)).to match(/ca_file #{file} is no sound PEM file/)
    end

    it "goes on with the old one while there is none", id: "CN7" do
      expect(status).to eq(200)
      File.unlink(file)
      expect(status).to eq(200)
      expect(Array.new(2) { resumed.pop }).to eq([false, true])
    end

    it "shows the new client certificate, in no old session", id: "CN7" do
      both = [client, other_client].map { |one| [one.certificate.to_pem, one.key.private_to_pem] }
      replace(*both.first)
      strict = noting(context: authority.strict_context)
      settings = { client_cert: file }
      kinds = handshakes(strict, settings, settings)
      replace(*both.last)
      expect([*kinds, *handshakes(strict, settings)]).to eq(%i[full resumed full])
    end
  end
end
