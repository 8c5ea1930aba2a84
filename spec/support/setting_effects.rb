# frozen_string_literal: true

require_relative "connection_effects"
require_relative "delivery_effects"
require_relative "limit_effects"
require_relative "timeout_effects"
require_relative "tls_effects"
require_relative "tunnel_effects"

# For each setting: a value other than its default, and what an upstream or a caller sees of it.
# An effect is a method that gets a way to build a proxy from settings and a URL.
module SettingEffects
  include ConnectionEffects
  include DeliveryEffects
  include LimitEffects
  include TimeoutEffects
  include TlsEffects
  include TunnelEffects

  VALUES = {
    num_retries_on_5xx: 1, retry_delay: 1.5, raise_on_5xx: true, raise_on_error: true,
    headers: { "X-Set" => "yes" }, preserve_host: true, x_forwarded: :off, via: false,
    max_hops: 0, trust_upstream: true, connect_timeout: 0.2, timeout: 0.2, idle_timeout: 0.2,
    total_timeout: 0.2, verify_ssl: false, ca_file: :authority, max_idle_connections: 1,
    idle_connection_timeout: 0.2, log_verbosity: :high, http2: :always, socket: :unix_socket,
    max_connections: 1, connection_wait: 0.2, max_waiting_requests: 0, max_connection_age: 0.001,
    max_connection_requests: 1, tls_sni: "inner.test", client_cert: :client_file,
    client_key: :client_key, min_tls_version: "1.3", allow_trace: false,
    allow_destinations: :public,
    max_request_body: 3, max_response_body: 3, max_headers: 3, max_header_bytes: 60,
    max_interim_responses: 1, delivery: :hijack, auto_hijack_above: 3, send_timeout: 0.2,
    drain_timeout: 0.2,
    allow_upgrade: false, tunnel_timeout: 0.2, min_send_rate: 1 << 30, max_streams: 1,
    on_request: ->(headers) { headers["X-Told"] = "yes" },
    on_complete: LimitEffects::COMPLETED.method(:push)
  }.freeze
  # Values that are made when they are needed.
  MADE = { authority: ->(example) { example.authority.file },
           client_file: ->(example) { example.client_file },
           client_key: ->(example) { example.client.key_file },
           unix_socket: ->(example) { example.unix_socket } }.freeze

  # @param build [#call] gets settings and a URL, returns an application
  def expect_effect_of(setting, build)
    value = VALUES.fetch(setting)
    value = MADE.fetch(value).call(self) if MADE.key?(value)
    public_send("effect_of_#{setting}", lambda { |url, more = {}|
      build.call({ setting => value }.merge(more), url)
    })
  end

  def effect_of_num_retries_on_5xx(app)
    upstream = serving { [503, {}, ""] }
    expect(fetch(app.call(upstream.url, retry_delay: 0.01)).status).to eq(503)
    expect(upstream.requests.size).to eq(2)
  end

  def effect_of_retry_delay(app)
    upstream = serving { [503, {}, ""] }
    seconds = elapsed { fetch(app.call(upstream.url, num_retries_on_5xx: 1)) }
    expect(seconds).to be_between(1.5, 10) # by default 1
  end

  def effect_of_raise_on_5xx(app)
    upstream = serving { [500, {}, ""] }
    expect { fetch(app.call(upstream.url)) }.to raise_error(Rack::StreamingProxy::HttpServerError)
  end

  def effect_of_raise_on_error(app)
    expect { fetch(app.call("http://127.0.0.1:#{closed_port}/")) }
      .to raise_error(Rack::StreamingProxy::ConnectError)
  end

  def effect_of_headers(app)
    expect(head_sent_by(app)["x-set"]).to eq("yes")
  end

  def effect_of_on_request(app)
    expect(head_sent_by(app)["x-told"]).to eq("yes")
  end

  def effect_of_preserve_host(app)
    expect(head_sent_by(app)["host"]).to eq("front.test")
  end

  def effect_of_x_forwarded(app)
    expect(head_sent_by(app).names).not_to include("x-forwarded-for")
  end

  def effect_of_via(app)
    expect(head_sent_by(app).names).not_to include("via")
  end

  def effect_of_max_hops(app)
    upstream = serving { [200, {}, ""] }
    statuses = [{}, { "HTTP_VIA" => "1.1 rack-streaming-proxy" }].map do |env|
      fetch(app.call(upstream.url), "/", env).status
    end
    expect(statuses).to eq([200, 508])
  end

  def effect_of_trust_upstream(app)
    upstream = serving { [200, { "X-Sendfile" => "/x" }, ""] }
    expect(fetch(app.call(upstream.url))["X-Sendfile"]).to eq("/x")
  end

  def effect_of_allow_trace(app)
    upstream = serving { [200, {}, ""] }
    expect(fetch(app.call(upstream.url), "/", method: "TRACE").status).to eq(405)
    expect(upstream.connections).to be_empty
  end

  def effect_of_allow_destinations(app)
    upstream = serving { [200, {}, ""] }
    expect(fetch(app.call(upstream.url)).status).to eq(502)
    expect(upstream.connections).to be_empty
  end

  def effect_of_log_verbosity(app)
    logger = InProcessCalls::RecordingLogger.new
    upstream = serving { [200, { "X-Dumped" => "yes" }, ""] }
    fetch(app.call(upstream.url, logger:))
    expect(logger.lines.join).to match(/x-dumped/i)
  end

  private

  def head_sent_by(app)
    upstream = serving { [200, {}, ""] }
    fetch(app.call(upstream.url), "/", "HTTP_HOST" => "front.test")
    upstream.wait_for_request
  end
end
