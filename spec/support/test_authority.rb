# frozen_string_literal: true

# A certificate authority of the specs: certificates that it vouches for, and the TLS contexts of
# servers with them.
class TestAuthority
  NAMES = "IP:127.0.0.1, DNS:localhost"
  EXTENSIONS = { "basicConstraints" => "CA:TRUE", "keyUsage" => "keyCertSign, cRLSign" }.freeze

  def initialize(name = "Test Authority")
    @own = TestCertificate.new(name, extensions: EXTENSIONS)
  end

  # @return [String] path of a PEM file with this authority's certificate
  def file
    @own.file
  end

  # @return [String] the same text
  def pem
    @own.certificate.to_pem
  end

  # @param options [Hash] as for TestCertificate.new
  # @return [TestCertificate]
  def issue(name, **options)
    TestCertificate.new(name, issuer: @own, **options)
  end

  # @param options [Hash] as for TestCertificate.new
  # @return [OpenSSL::SSL::SSLContext] of a server with a certificate for these names
  def context(names: NAMES, **options)
    issue("upstream", extensions: { "subjectAltName" => names }, **options).context
  end

  # @return [OpenSSL::SSL::SSLContext] the same, of a server that takes only clients with a
  #   certificate of this authority
  def strict_context(**options)
    context(**options).tap do |context|
      context.verify_mode = OpenSSL::SSL::VERIFY_PEER | OpenSSL::SSL::VERIFY_FAIL_IF_NO_PEER_CERT
      context.cert_store = OpenSSL::X509::Store.new.add_cert(@own.certificate)
      context.session_id_context = "specs" # without it such a server resumes no session
    end
  end
end
