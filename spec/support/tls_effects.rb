# frozen_string_literal: true

require_relative "tls_peers"

# What is seen of each setting of TLS, for SettingEffects.
module TlsEffects
  include TlsPeers

  def client
    @client ||= authority.issue("client")
  end

  # With the key, which so needs no setting of its own.
  def client_file
    TestCertificate.file(client.certificate.to_pem, client.key.private_to_pem)
  end

  def effect_of_verify_ssl(app)
    expect(fetch(app.call(secure.url)).status).to eq(200)
  end
  alias effect_of_ca_file effect_of_verify_ssl

  def effect_of_tls_sni(app)
    upstream = secure(names: "DNS:inner.test")
    expect(fetch(app.call(upstream.url, ca_file: authority.file)).status).to eq(200)
  end

  def effect_of_client_cert(app)
    expect(fetch(app.call(strict.url, ca_file: authority.file)).body).to eq("welcome")
  end

  def effect_of_client_key(app)
    settings = { ca_file: authority.file, client_cert: client.file }
    expect(fetch(app.call(strict.url, settings)).body).to eq("welcome")
  end

  def effect_of_min_tls_version(app)
    upstream = secure(&only("1.2"))
    expect(fetch(app.call(upstream.url, ca_file: authority.file)).status).to eq(502)
  end
end
