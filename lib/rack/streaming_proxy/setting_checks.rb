# frozen_string_literal: true

require_relative "header_field"

module Rack
  module StreamingProxy
    # What a value of a setting must be: each answers true for one that will do.
    # @api private
    module SettingChecks
      # Ten years: more is a mistake, and would overflow a clock.
      MOST_SECONDS = 315_360_000
      SECONDS = ->(value) { value.is_a?(Numeric) && value.real? && value.to_f <= MOST_SECONDS }
      NOT_NEGATIVE = ->(value) { SECONDS.call(value) && !value.negative? }
      POSITIVE = ->(value) { SECONDS.call(value) && value.positive? }
      LIMIT = ->(value) { value.nil? || POSITIVE.call(value) }
      COUNT = ->(value) { value.is_a?(Integer) && value >= 0 && value < (1 << 31) }
      # Bytes, of which there may be more than a count holds.
      SIZE = ->(value) { value.nil? || (value.is_a?(Integer) && value >= 0 && value < (1 << 63)) }
      FLAG = ->(value) { [true, false].include?(value) }
      NAME = HeaderField::TOKEN
      private_constant :NAME
      # What an upgrade may ask for: `name ["/" version]`. Not other HTTP, for requests in a tunnel
      # would be seen by nobody here (h2c smuggling), nor TLS, for the same of anything.
      PROTOCOL = lambda do |value|
        value.is_a?(String) && value.match?(%r{\A#{NAME}(?:/#{NAME})?\z}) &&
          !value.match?(%r{\A(?:h2c?|http|tls)(?:/|\z)}i)
      end
      UPGRADE = lambda do |value|
        FLAG.call(value) || (value.is_a?(Array) && value.all?(PROTOCOL))
      end
      CALLABLE = ->(value) { value.nil? || value.respond_to?(:call) }
      LOGGER = lambda do |value|
        value.nil? || %i[debug info warn error].all? { |level| value.respond_to?(level) }
      end
      PATH = ->(value) { value.is_a?(String) ? !value.empty? : value.respond_to?(:to_path) }
      # At most what an address of a Unix socket holds.
      SOCKET = lambda do |value|
        value.nil? || (PATH.call(value) && ::File.expand_path(value).bytesize.between?(1, 103))
      rescue ArgumentError
        false # No path holds a NUL.
      end
      # As DNS has them, so that TLS can ask for it (RFC 1035 section 2.3.4).
      HOST_NAME = /\A(?=.{1,253}\z)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\z/i
      SNI = ->(value) { FLAG.call(value) || (value.is_a?(String) && value.match?(HOST_NAME)) }
      # The engine reads addresses, networks and names, here as for each request.
      DESTINATION = ->(value) { Native::Policy.destination?(value) }
      DESTINATIONS = lambda do |value|
        value.respond_to?(:call) || DESTINATION.call(value) ||
          (value.is_a?(Array) && value.any? && value.all?(DESTINATION))
      end
      HEADERS = lambda do |value|
        value.is_a?(Hash) && value.all? { |name, values| header?(name, values) }
      end
      # `uri-host [":" port]`, without a user name; a comma stands between what were several.
      AUTHORITY = /\A(?:\[[\h:.]+\]|(?:[\w.~!$&'()*+;=-]|%\h\h)+)(?::\d*)?\z/n

      # @return [#call] for a PEM file with a block of this kind
      def self.pem(kind)
        lambda do |value|
          value.nil? || (PATH.call(value) && ::File.file?(value) &&
            ::File.binread(value).match?(/-----BEGIN [A-Z ]*#{kind}-----/))
        rescue SystemCallError, ArgumentError
          false # It cannot be read, or no path has such a name.
        end
      end

      # @return [Boolean] whether this may be sent as a header
      def self.header?(name, values)
        name = name.to_s
        HeaderField.token?(name) && HeaderField.settable?(name) &&
          one_only?(name.downcase, Array(values)) && Array(values).all? { |one| lines?(one) }
      end

      # A value may hold several lines, as in Rack 2.
      def self.lines?(value)
        value.is_a?(String) && value.b.split("\n").all? { |line| HeaderField.value?(line) }
      end
      private_class_method :lines?

      # HTTP/1.1 asks for exactly one Host; an expectation is the client's, who answers to it.
      def self.one_only?(name, values)
        case name
        when "host" then values.one? && authority?(values.first)
        when "expect" then values.empty?
        else true
        end
      end
      private_class_method :one_only?

      # @return [Boolean] whether this names one host, with a port or without
      def self.authority?(text)
        text.is_a?(String) && AUTHORITY.match?(text.b)
      end

      # @return [#call] for one of these
      def self.one_of(*values)
        ->(value) { values.include?(value) }
      end

      # @return [#call] for a whole number from `least` to `most`
      def self.from(least, most = (1 << 31) - 1)
        ->(value) { value.is_a?(Integer) && value.between?(least, most) }
      end
    end
  end
end
