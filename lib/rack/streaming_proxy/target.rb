# frozen_string_literal: true

module Rack
  module StreamingProxy
    # Where a request goes: a URL, and settings for this request alone. What the block returns is
    # turned into one; a block may return one itself.
    #
    # @example
    #   Rack::StreamingProxy::Target.new("https://files.internal/a", timeout: 5)
    class Target
      # @return [Native::Target] the parsed URL
      # @api private
      attr_reader :native

      # @return [Hash{Symbol => Object}] settings for this request, frozen
      attr_reader :options

      # @param value [Object] what the block returned
      # @return [Target, nil] nil if the request is not to be proxied
      # @raise [ConfigurationError] if it is no URL of an upstream
      def self.wrap(value)
        case value
        when nil, false then nil
        when Target then value
        else new(value)
        end
      end

      # @param url [String, URI] absolute, http or https; a user name and password in it become
      #   Basic authorization
      # @param options [Hash{Symbol => Object}] settings that win over all others
      # @raise [ConfigurationError] if the URL or an option cannot be used
      def initialize(url, **options)
        @native = parsed(url)
        @options = Configuration.check(options)
      end

      # @return [String] the URL without credentials and query, as it is logged
      def to_s = native.to_s

      # @return [String] `scheme://host:port`
      def origin = native.origin

      # @return [String] without credentials, query and options, which may hold secrets
      def inspect = "#<#{self.class} #{self}>"

      private

      def parsed(url)
        Native::Target.new(text(url))
      rescue ArgumentError => e
        value = Configuration.redact(url.is_a?(::URI::Generic) ? url.to_s : url)
        raise ConfigurationError, "#{value} is no URL of an upstream: #{e.message}"
      end

      def text(url)
        return url.to_str if url.respond_to?(:to_str)
        return url.to_s if url.is_a?(::URI::Generic)

        raise ArgumentError, "the block returns a String, a URI, a Target, nil or false"
      end
    end
  end
end
