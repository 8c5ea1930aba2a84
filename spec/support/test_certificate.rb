# frozen_string_literal: true

require "openssl"
require "tempfile"

# A certificate with its key, as a TLS server or client of the specs shows it, and the PEM files
# of both. Without an issuer it is self-signed.
class TestCertificate
  EXTENSIONS = OpenSSL::X509::ExtensionFactory.new

  # @return [String] path of a file with these PEM texts, which lives as long as the specs
  def self.file(*texts)
    file = Tempfile.new(["specs", ".pem"]).tap { |one| one.write(*texts) }
    file.close
    (@files ||= []) << file
    file.path
  end

  attr_reader :certificate, :key

  # @param issuer [TestCertificate, nil]
  # @param valid [Range] from when and how long, in seconds from now
  # @param extensions [Hash{String => String}] in the words of OpenSSL
  def initialize(name, issuer: nil, key: OpenSSL::PKey::EC.generate("prime256v1"),
                 valid: -7200..3600, extensions: {})
    @key = key
    @certificate = OpenSSL::X509::Certificate.new
    @certificate.version = 2
    @certificate.serial = rand(1 << 64)
    @certificate.subject = OpenSSL::X509::Name.parse("/CN=#{name}")
    @certificate.public_key = key
    @certificate.not_before = Time.now + valid.begin
    @certificate.not_after = Time.now + valid.end
    extensions.each { |one, value| @certificate.add_extension(EXTENSIONS.create_ext(one, value)) }
    sign_by(issuer || self)
  end

  # @return [OpenSSL::SSL::SSLContext] of a server that shows it
  def context
    OpenSSL::SSL::SSLContext.new.tap do |context|
      context.key = key
      context.cert = certificate
    end
  end

  # @return [String] path of a PEM file with the certificate
  def file
    @file ||= TestCertificate.file(certificate.to_pem)
  end

  # @return [String] path of a PEM file with the key
  def key_file
    @key_file ||= TestCertificate.file(key.private_to_pem)
  end

  private

  def sign_by(issuer)
    @certificate.issuer = issuer.certificate.subject
    @certificate.sign(issuer.key, OpenSSL::Digest.new("SHA256"))
  end
end
