# frozen_string_literal: true

# Each way in which TLS fails is told apart, and says what to change.
RSpec.describe Rack::StreamingProxy::TlsError do
  include TlsPeers

  describe "of a certificate" do
    it "says that it has expired, and when", id: "CN7" do
      upstream = secure(valid: (-72 * 3600)..(-36 * 3600))
      expect(refusal(upstream.url)).to eq("has a certificate that expired 36 hours ago: it must " \
                                          "be renewed there")
      expect(upstream.requests).to be_empty
    end

    it "says that it is not valid yet", id: "CN7" do
      upstream = secure(valid: (30.5 * 86_400)..(60 * 86_400))
      expect(refusal(upstream.url)).to eq("has a certificate that is not valid yet, but in " \
                                          "30 days: check the clocks")
    end

    it "says that it is for another host, and for which", id: "CN7" do
      upstream = secure(names: "DNS:a.test, IP:127.0.0.2")
      local = "https://localhost:#{upstream.port}/"
      expect(refusal(local)).to start_with('has a certificate that is not for "localhost" but ' \
                                           "for a.test, 127.0.0.2:")
    end

    it "says that it is for another address", id: "CN7" do
      upstream = secure(names: "DNS:localhost, IP:127.0.0.2")
      expect(refusal(upstream.url))
        .to match(/not for "127.0.0.1" but for localhost, 127.0.0.2:.*set tls_sni/)
    end

    it "says that it is for no host at all", id: "CN7" do
      upstream = serving(tls: authority.issue("127.0.0.1").context) { [200, {}, ""] }
      expect(refusal(upstream.url)).to match(/not for "127.0.0.1" but for no name at all/)
    end

    it "says that its authority is not trusted", id: "CN7" do
      upstream = secure
      expect(refusal(upstream.url, ca_file: TestAuthority.new("Other").file))
        .to match(/from an authority that is not trusted: .*ca_file/)
      expect(refusal(upstream.url, ca_file: nil))
        .to match(/from an authority that is not trusted: .*ca_file/)
    end

    it "says so when only the name of the authority is the right one", id: "CN7" do
      expect(refusal(secure.url, ca_file: TestAuthority.new.file)).to match(/is not (trusted|acc)/)
    end

    [{}, { "basicConstraints" => "CA:TRUE" }].each do |extensions|
      it "says that it is self-signed (#{extensions})", id: "CN7" do
        own = TestCertificate.new("own", extensions: extensions.merge("subjectAltName" =>
                                                                      TestAuthority::NAMES))
        upstream = serving(tls: own.context) { [200, {}, ""] }
        expect(refusal(upstream.url)).to eq("has a self-signed certificate: give it as ca_file, " \
                                            "or set verify_ssl: false")
      end
    end

    it "says that it is not one for servers", id: "CN7" do
      one = authority.issue("client", extensions: { "subjectAltName" => TestAuthority::NAMES,
                                                    "extendedKeyUsage" => "clientAuth" })
      upstream = serving(tls: one.context) { [200, {}, ""] }
      expect(refusal(upstream.url)).to match(/not one for servers/)
    end
  end

  describe "of an upstream" do
    def over_tls(&script)
      "https://#{start_upstream(&script).authority}/"
    end

    it "says that it speaks no TLS", id: "CN7" do
      url = over_tls do |connection|
        connection.write("HTTP/1.1 400 Bad Request\r\n\r\n")
        connection.wait_for_end
      end
      expect(refusal(url)).to start_with("does not speak TLS: check the URL's scheme and port")
    end

    it "says that its TLS is too old", id: "CN7" do
      upstream = secure do |context|
        context.ciphers = "DEFAULT@SECLEVEL=0"
        context.max_version = OpenSSL::SSL::TLS1_1_VERSION
      end
      expect(refusal(upstream.url)).to match(/speaks no version of TLS that min_tls_version allows/)
    end

    it "says that it was too old for min_tls_version", id: "CN7" do
      upstream = secure(&only("1.2"))
      expect(refusal(upstream.url, min_tls_version: "1.3"))
        .to match(/speaks no version of TLS that min_tls_version allows/)
    end

    it "says that no cipher is shared", id: "CN7" do
      upstream = secure do |context|
        context.max_version = OpenSSL::SSL::TLS1_2_VERSION
        context.ciphers = "ECDHE-ECDSA-AES128-SHA"
      end
      expect(refusal(upstream.url)).to match(/no cipher that both sides speak.*HandshakeFailure/)
    end

    it "says that it closed the connection amid the handshake", id: "CN7" do
      url = over_tls { |connection| connection.read_exactly(5) && connection.io.shutdown(:WR) }
      expect(refusal(url)).to match(/broke the TLS handshake off: .*tls_sni/)
    end

    it "says that it reset the connection amid the handshake", id: "CN7" do
      url = over_tls { |connection| connection.read_exactly(5) && connection.reset }
      expect(refusal(url)).to match(/broke the TLS handshake off: .*tls_sni.*\(ECONNRESET\)/)
    end

    it "says that it speaks no version of HTTP that is offered", id: "CN7" do
      upstream = secure { |tls| tls.alpn_select_cb = ->(_) { raise OpenSSL::SSL::SSLError } }
      expect(refusal(upstream.url, http2: :never)).to match(/speaks no version of HTTP that http2/)
    end
  end
end
