# frozen_string_literal: true

require "openssl"
require "tempfile"

# A certificate authority of the specs and the TLS contexts of servers that it vouches for.
class TestAuthority
  attr_reader :certificate

  def initialize(name = "Test Authority")
    @key = OpenSSL::PKey::EC.generate("prime256v1")
    @name = OpenSSL::X509::Name.parse("/CN=#{name}")
    @certificate = issue(@name, @key, { "basicConstraints" => "CA:TRUE",
                                        "keyUsage" => "keyCertSign, cRLSign" })
  end

  # @return [String] path of a PEM file with this authority's certificate
  def file
    @file ||= Tempfile.new(["authority", ".pem"]).tap do |file|
      file.write(@certificate.to_pem)
      file.close
    end
    @file.path
  end

  # @return [OpenSSL::SSL::SSLContext] of a server with a certificate for these names
  def context(names: "IP:127.0.0.1, DNS:localhost", not_after: Time.now + 3600)
    key = OpenSSL::PKey::EC.generate("prime256v1")
    OpenSSL::SSL::SSLContext.new.tap do |context|
      context.key = key
      context.cert = issue(OpenSSL::X509::Name.parse("/CN=upstream"), key,
                           { "subjectAltName" => names }, not_after:)
    end
  end

  private

  def issue(subject, key, extensions, not_after: Time.now + 3600)
    certificate = OpenSSL::X509::Certificate.new
    certificate.version = 2
    certificate.serial = rand(1 << 64)
    certificate.subject = subject
    certificate.issuer = @name
    certificate.public_key = key
    certificate.not_before = Time.now - 7200
    certificate.not_after = not_after
    extend_and_sign(certificate, extensions)
  end

  def extend_and_sign(certificate, extensions)
    factory = OpenSSL::X509::ExtensionFactory.new
    extensions.each { |name, value| certificate.add_extension(factory.create_ext(name, value)) }
    certificate.sign(@key, OpenSSL::Digest.new("SHA256"))
  end
end
