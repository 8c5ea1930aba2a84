# frozen_string_literal: true

RSpec.describe Rack::StreamingProxy::Proxy, "and client certificates" do
  include TlsPeers

  let(:client) { authority.issue("client") }

  def answer_of(upstream, **settings)
    fetch(linted(ca_file: authority.file, **settings) { upstream.url }).body
  end

  TlsPeers::VERSIONS.each_key do |version|
    it "shows the certificate that is asked for, over TLS #{version}", id: "CN7" do
      upstream = strict(&only(version))
      expect(answer_of(upstream, client_cert: client.file, client_key: client.key_file))
        .to eq("welcome")
      shown = upstream.wait_for_connection.io.peer_cert
      expect(shown.serial).to eq(client.certificate.serial)
    end

    it "says that an upstream demands one, over TLS #{version}", id: "CN7" do
      upstream = strict(&only(version))
      expect(refusal(upstream.url)).to match(/demand.* a client certificate.*client_cert/)
      expect(upstream.requests).to be_empty
    end

    it "says that an upstream does not accept it, over TLS #{version}", id: "CN7" do
      upstream = strict(&only(version))
      other = TestAuthority.new("Other").issue("client")
      expect(refusal(upstream.url, client_cert: other.file, client_key: other.key_file))
        .to match(/does not accept the client certificate: check client_cert.*UnknownCA/)
    end
  end

  it "says that an upstream demands one that would speak HTTP/2", id: "CN7" do
    upstream = strict { |context| context.alpn_select_cb = ->(_offered) { "h2" } }
    expect(refusal(upstream.url)).to match(/demands a client certificate: set client_cert/)
  end

  it "does not show it to an upstream that does not ask", id: "CN7" do
    upstream = secure
    answer_of(upstream, client_cert: client.file, client_key: client.key_file)
    expect(upstream.wait_for_connection.io.peer_cert).to be_nil
  end

  it "shows it without verifying the upstream too", id: "CN7" do
    app = bare(verify_ssl: false, client_cert: client.file, client_key: client.key_file) do
      @upstream.url
    end
    @upstream = strict
    expect(fetch(app).body).to eq("welcome")
  end

  it "sends those that lead to its root", id: "CN7" do
    between = authority.issue("between", extensions: TestAuthority::EXTENSIONS)
    leaf = TestCertificate.new("leaf", issuer: between)
    chain = TestCertificate.file(leaf.certificate.to_pem, between.certificate.to_pem)
    expect(answer_of(strict, client_cert: chain, client_key: leaf.key_file)).to eq("welcome")
  end

  {
    "PKCS#8" => [OpenSSL::PKey::EC.generate("prime256v1"), :private_to_pem, "PRIVATE"],
    "SEC1" => [OpenSSL::PKey::EC.generate("secp384r1"), :to_pem, "EC PRIVATE"],
    "RSA" => [OpenSSL::PKey::RSA.new(2048), :to_pem, "RSA PRIVATE"],
    "PKCS#8 of RSA" => [OpenSSL::PKey::RSA.new(2048), :private_to_pem, "PRIVATE"]
  }.each do |kind, (key, write, mark)|
    it "takes a key in #{kind}, in the certificate's file or another", id: "CN7" do
      one = authority.issue("client", key:)
      pem = key.public_send(write)
      expect(pem).to start_with("-----BEGIN #{mark} KEY-----")
      [[one.certificate.to_pem, pem], [pem, one.certificate.to_pem]].each do |both|
        expect(answer_of(strict, client_cert: TestCertificate.file(*both))).to eq("welcome")
      end
      expect(answer_of(strict, client_cert: one.file, client_key: TestCertificate.file(pem)))
        .to eq("welcome")
    end
  end

  describe "that cannot be used" do
    # The text after "-----BEGIN ...-----", of which no error may repeat a line.
    def expect_no_secret(message, pem)
      lines = pem.lines(chomp: true).grep_v(/-----/).select { |line| line.size > 20 }
      expect(lines.select { |line| message.include?(line) }).to be_empty
    end

    def unusable(**settings)
      refusal(strict.url, **settings)
    end

    it "names the key that is another certificate's", id: "CN7" do
      other = authority.issue("other")
      expect(unusable(client_cert: client.file, client_key: other.key_file))
        .to eq("was offered no TLS handshake: client_key #{other.key_file} is not the key of " \
               "client_cert #{client.file}")
    end

    it "names an encrypted key", id: "CN7" do
      cipher = OpenSSL::Cipher.new("aes-256-cbc")
      %i[private_to_pem to_pem].each do |write|
        pem = client.key.public_send(write, cipher, "s3cret")
        file = TestCertificate.file(pem)
        message = unusable(client_cert: client.file, client_key: file)
        expect(message).to include("client_key #{file} is encrypted")
        expect_no_secret(message, pem)
      end
    end

    it "names a key file that holds none", id: "CN7" do
      expect(unusable(client_cert: client.file))
        .to include("client_key #{client.file} holds no private key, as client_cert")
    end

    it "names a key of another kind, and repeats nothing of it", id: "CN7" do
      key = OpenSSL::PKey::RSA.new(1024)
      one = authority.issue("weak", key:)
      message = unusable(client_cert: one.file, client_key: one.key_file)
      expect(message).to match(/client_key #{one.key_file} holds a key of a kind/)
      expect_no_secret(message, key.to_pem)
    end

    it "repeats nothing of a file whose lines are run together", id: "CN7" do
      line = client.key.private_to_pem.delete("\n")
      file = TestCertificate.file(line)
      message = unusable(client_cert: client.file, client_key: file)
      expect(message).to include("client_key #{file} holds no private key in PEM")
      expect(message).not_to include(line[40, 20])
    end

    it "names a damaged certificate", id: "CN7" do
      file = TestCertificate.file("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
      expect(unusable(client_cert: file, client_key: client.key_file))
        .to include("client_cert #{file} holds a damaged certificate")
    end

    it "names a file that went before it was read", id: "CN7" do
      file = TestCertificate.file(client.certificate.to_pem)
      app = bare(raise_on_error: true, client_cert: file, client_key: client.key_file) do
        secure.url
      end
      File.unlink(file)
      expect { fetch(app) }
        .to raise_error(Rack::StreamingProxy::TlsError, /client_cert #{file} cannot be read \(No /)
    end

    it "is refused without a certificate for the key" do
      app = bare(client_key: client.key_file) { secure.url }
      expect { fetch(app) }
        .to raise_error(Rack::StreamingProxy::ConfigurationError, /client_key.*client_cert/)
    end
  end
end
