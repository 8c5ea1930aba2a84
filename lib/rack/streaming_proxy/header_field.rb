# frozen_string_literal: true

module Rack
  module StreamingProxy
    # What may be sent as a header (RFC 9110 section 5), whoever in the application gives it.
    # @api private
    module HeaderField
      TOKEN = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/
      CONTROL = /[\x00-\x08\x0A-\x1F\x7F]/n
      # One of these is never the application's business, or is computed from the body that is sent.
      UNSETTABLE = %w[
        connection content-length keep-alive proxy-connection te trailer transfer-encoding upgrade
      ].freeze
      private_constant :CONTROL

      # @param text [String] such as a header's name, or a method
      # @return [Boolean]
      def self.token?(text) = text.b.match?(/\A#{TOKEN}\z/)

      # @param text [String]
      # @return [Boolean] whether it is the value of one line
      def self.value?(text) = !text.b.match?(CONTROL)

      # @param name [String]
      # @return [Boolean]
      def self.settable?(name) = !UNSETTABLE.include?(name.downcase)

      # @param name [String]
      # @param values [Array<String>] a line each
      # @raise [ArgumentError] if it would not be the one header that it is to be
      def self.check(name, *values)
        raise ArgumentError, "#{Configuration.redact(name)} is no header" unless token?(name)
        return if values.all? { |value| value?(value) }

        raise ArgumentError, "the value of #{name} has a line break, or another control character"
      end
    end
  end
end
