# frozen_string_literal: true

module Rack
  module StreamingProxy
    # One setting: its default, and what it takes.
    #
    # @!attribute name [Symbol]
    # @!attribute default [Object]
    # @!attribute takes [String] for people
    # @!attribute check [#call] true for a value that will do
    # @api private
    Setting = Struct.new(:name, :default, :takes, :check)

    # The settings, in the order in which the README lists them.
    # @api private
    module Settings
      include SettingChecks

      ALL = [
        Setting.new(:logger, nil, "a Logger, or nil for Rails.logger or stdout", LOGGER),
        Setting.new(:log_verbosity, :low, ":low or :high", SettingChecks.one_of(:low, :high)),
        Setting.new(:num_retries_on_5xx, 0, "an Integer of 0 or more", COUNT),
        Setting.new(:retry_delay, 1, "seconds, 0 or more", NOT_NEGATIVE),
        Setting.new(:raise_on_5xx, false, "true or false", FLAG),
        Setting.new(:raise_on_error, false, "true or false", FLAG),
        Setting.new(:headers, {}.freeze, "a Hash of header names to a String, Strings or nil, " \
                                         "without hop-by-hop and framing headers; Host to " \
                                         "one host, Expect to nil", HEADERS),
        Setting.new(:preserve_host, false, "true or false", FLAG),
        Setting.new(:x_forwarded, :append, ":append, :replace or :off",
                    SettingChecks.one_of(:append, :replace, :off)),
        Setting.new(:via, true, "true or false", FLAG),
        Setting.new(:max_hops, 5, "an Integer of 0 or more", COUNT),
        Setting.new(:trust_upstream, false, "true or false", FLAG),
        Setting.new(:connect_timeout, 5, "seconds above 0, or nil for none", LIMIT),
        Setting.new(:timeout, 30, "seconds, nil for none, or 0 to answer 504 at once",
                    ->(value) { value.nil? || NOT_NEGATIVE.call(value) }),
        Setting.new(:idle_timeout, 300, "seconds above 0, or nil for none", LIMIT),
        Setting.new(:total_timeout, nil, "seconds above 0, or nil for none", LIMIT),
        Setting.new(:verify_ssl, true, "true or false", FLAG),
        Setting.new(:ca_file, nil, "the path of a PEM file with certificates, or nil for the " \
                                   "system's roots", SettingChecks.pem("CERTIFICATE")),
        Setting.new(:tls_sni, true, "true, false or a host name", SNI),
        Setting.new(:client_cert, nil, "the path of a PEM file with a certificate, or nil",
                    SettingChecks.pem("CERTIFICATE")),
        Setting.new(:client_key, nil, "the path of a PEM file with a private key, or nil if " \
                                      "client_cert holds it", SettingChecks.pem("PRIVATE KEY")),
        Setting.new(:min_tls_version, "1.2", "\"1.2\", \"1.3\", :TLS1_2 or :TLS1_3",
                    ->(value) { %w[1.2 1.3 TLS1_2 TLS1_3].include?(value.to_s) }),
        Setting.new(:http2, :auto, ":auto, :always or :never",
                    SettingChecks.one_of(:auto, :always, :never)),
        Setting.new(:socket, nil, "the path of a Unix socket, at most 103 bytes, or nil", SOCKET),
        Setting.new(:max_idle_connections, 32, "an Integer of 0 or more", COUNT),
        Setting.new(:idle_connection_timeout, 15, "seconds above 0", POSITIVE),
        Setting.new(:max_connections, 256, "an Integer of 1 or more", SettingChecks.from(1)),
        Setting.new(:connection_wait, 5, "seconds, 0 or more", NOT_NEGATIVE),
        Setting.new(:max_waiting_requests, 1024, "an Integer of 0 or more", COUNT),
        Setting.new(:max_connection_age, 300, "seconds above 0, or nil for none", LIMIT),
        Setting.new(:max_connection_requests, nil, "an Integer of 1 or more, or nil for none",
                    ->(value) { value.nil? || SettingChecks.from(1).call(value) }),
        Setting.new(:max_request_body, nil, "bytes, or nil for none", SIZE),
        Setting.new(:max_response_body, nil, "bytes, or nil for none", SIZE),
        Setting.new(:max_headers, 256, "an Integer from 1 to 1024", SettingChecks.from(1, 1024)),
        Setting.new(:max_header_bytes, 65_536, "bytes, from 1 to 122880",
                    SettingChecks.from(1, 122_880)),
        Setting.new(:max_interim_responses, 16, "an Integer of 0 or more", COUNT),
        Setting.new(:allow_destinations, :default, ":default, :any, :public, an Array of these, " \
                                                   "of addresses, networks and host names, or " \
                                                   "what responds to call", DESTINATIONS),
        Setting.new(:allow_trace, true, "true or false", FLAG),
        Setting.new(:delivery, :body, ":body, :hijack, :early or :auto",
                    SettingChecks.one_of(:body, :hijack, :early, :auto)),
        Setting.new(:auto_hijack_above, 262_144, "bytes, 0 or more", COUNT),
        Setting.new(:send_timeout, 60, "seconds above 0, or nil for none", LIMIT),
        Setting.new(:drain_timeout, 25, "seconds, 0 or more", NOT_NEGATIVE),
        Setting.new(:allow_upgrade, true, "true, false or an Array of " \
                                         "protocols, h2c, HTTP and TLS not among them", UPGRADE),
        Setting.new(:tunnel_timeout, 3600, "seconds above 0, or nil for none", LIMIT),
        Setting.new(:min_send_rate, nil, "bytes a second, 1 or more, or nil for none",
                    ->(value) { value.nil? || SettingChecks.from(1).call(value) }),
        Setting.new(:max_streams, 10_000, "an Integer of 1 or more, or nil for none",
                    ->(value) { value.nil? || SettingChecks.from(1).call(value) }),
        Setting.new(:on_request, nil, "what responds to call, or nil", CALLABLE),
        Setting.new(:on_complete, nil, "what responds to call, or nil", CALLABLE)
      ].to_h { |setting| [setting.name, setting.freeze] }.freeze

      # What users of other clients write, and what it is here.
      ELSEWHERE = {
        open_timeout: "connect_timeout",
        read_timeout: "timeout (the wait for the head) or idle_timeout (between bytes)",
        write_timeout: "idle_timeout (between bytes)",
        ssl_verify_none: "verify_ssl: false"
      }.freeze

      # @return [Hash{Symbol => Object}]
      DEFAULTS = ALL.transform_values(&:default).freeze
    end
  end
end
