# frozen_string_literal: true

require "openssl"

# Upstreams that speak TLS, and what comes of exchanges with them.
module TlsPeers
  VERSIONS = { "1.2" => OpenSSL::SSL::TLS1_2_VERSION,
               "1.3" => OpenSSL::SSL::TLS1_3_VERSION }.freeze

  def authority
    @authority ||= TestAuthority.new
  end

  # An upstream with a certificate for these names; the block may change its context.
  def secure(**certificate, &change)
    context = authority.context(**certificate)
    change&.call(context)
    serving(tls: context) { |request| [200, {}, "got #{request.body}"] }
  end

  # An upstream that takes only clients with a certificate of the authority.
  def strict(&change)
    context = authority.strict_context
    change&.call(context)
    serving(tls: context) { [200, {}, "welcome"] }
  end

  # @return [#call] which limits a context to this version
  def only(version)
    ->(context) { context.min_version = context.max_version = VERSIONS.fetch(version) }
  end

  # Expects a TlsError, of which the client is told nothing.
  # @return [String] what it says of the upstream
  def refusal(url, **settings)
    given = { ca_file: authority.file }.merge(settings)
    answer = fetch(linted(**given) { url })
    expect([answer.status, answer.body]).to eq([502, "502 Bad Gateway"])
    error = tls_error { fetch(bare(raise_on_error: true, **given) { url }) }
    expect(error&.phase).to eq(:tls)
    error.message.delete_prefix("upstream #{url.delete_suffix("/")} ")
  end

  private

  def tls_error
    yield
    nil
  rescue Rack::StreamingProxy::TlsError => e
    e
  end
end
