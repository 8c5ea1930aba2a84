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
      # Ten years: more is a mistake, and would overflow a clock.
      MOST_SECONDS = 315_360_000
      SECONDS = ->(value) { value.is_a?(Numeric) && value.real? && value.to_f <= MOST_SECONDS }
      NOT_NEGATIVE = ->(value) { SECONDS.call(value) && !value.negative? }
      POSITIVE = ->(value) { SECONDS.call(value) && value.positive? }
      LIMIT = ->(value) { value.nil? || POSITIVE.call(value) }
      COUNT = ->(value) { value.is_a?(Integer) && value >= 0 && value < (1 << 31) }
      FLAG = ->(value) { [true, false].include?(value) }
      LOGGER = lambda do |value|
        value.nil? || %i[debug info warn error].all? { |level| value.respond_to?(level) }
      end
      CERTIFICATES = lambda do |value|
        value.nil? || ((value.is_a?(String) || value.respond_to?(:to_path)) &&
          ::File.file?(value) && ::File.binread(value).include?("-----BEGIN CERTIFICATE-----"))
      rescue SystemCallError, ArgumentError
        false # It cannot be read, or no path has such a name.
      end
      # One of these is never an upstream's business, or is computed from the body that is sent.
      UNSETTABLE = %w[
        connection content-length keep-alive proxy-connection te trailer transfer-encoding upgrade
      ].freeze
      HEADERS = lambda do |value|
        value.is_a?(Hash) && value.all? { |name, values| header?(name, values) }
      end

      # @return [Boolean] whether this may be sent as a header
      def self.header?(name, values)
        name = name.to_s
        name.match?(/\A[!#$%&'*+\-.^_`|~0-9A-Za-z]+\z/) &&
          !UNSETTABLE.include?(name.downcase) &&
          Array(values).all? { |one| one.is_a?(String) && !one.b.match?(/[\x00-\x08\v-\x1F\x7F]/n) }
      end

      def self.one_of(*values)
        ->(value) { values.include?(value) }
      end

      ALL = [
        Setting.new(:logger, nil, "a Logger, or nil for Rails.logger or stdout", LOGGER),
        Setting.new(:log_verbosity, :low, ":low or :high", one_of(:low, :high)),
        Setting.new(:num_retries_on_5xx, 0, "an Integer of 0 or more", COUNT),
        Setting.new(:retry_delay, 1, "seconds, 0 or more", NOT_NEGATIVE),
        Setting.new(:raise_on_5xx, false, "true or false", FLAG),
        Setting.new(:raise_on_error, false, "true or false", FLAG),
        Setting.new(:headers, {}.freeze, "a Hash of header names to a String, Strings or nil, " \
                                         "without hop-by-hop and framing headers", HEADERS),
        Setting.new(:preserve_host, false, "true or false", FLAG),
        Setting.new(:x_forwarded, :append, ":append, :replace or :off",
                    one_of(:append, :replace, :off)),
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
                                   "system's roots", CERTIFICATES),
        Setting.new(:max_idle_connections, 32, "an Integer of 0 or more", COUNT),
        Setting.new(:idle_connection_timeout, 15, "seconds above 0", POSITIVE)
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
