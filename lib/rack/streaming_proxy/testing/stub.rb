# frozen_string_literal: true

module Rack
  module StreamingProxy
    module Testing
      # Which requests are answered for, and how. Immutable.
      class Stub
        # @param pattern [String, #===] see {Testing.stub}
        # @return [String, #===] to be asked with `===`; a URL in the spelling of {Request#url}
        # @raise [ConfigurationError] for a String that is no URL
        # @api private
        def self.url(pattern)
          pattern.respond_to?(:to_str) ? Target.new(pattern).native.url.freeze : pattern
        end

        # @param method [Symbol, String, nil]
        # @return [String, nil] as it is sent
        # @api private
        def self.http_method(method) = method&.to_s&.upcase

        # @return [Thread] the test's
        # @api private
        attr_reader :owner

        # See {Testing.stub}.
        #
        # @param url [String, #===]
        # @param method [Symbol, String, nil]
        # @yieldparam request [Testing::Request]
        # @yieldreturn [Array(Integer, Hash, #each)]
        # @raise [ConfigurationError] for a String that is no URL
        # @raise [ArgumentError] without a block
        def initialize(url, method: nil, &answer)
          raise ArgumentError, "a stub needs a block that returns [status, headers, body]" unless
            answer

          @url = Stub.url(url)
          @method = Stub.http_method(method)
          @answer = answer
          @owner = Thread.current
          freeze
        end

        # @param http_method [String]
        # @param url [String]
        # @return [Boolean]
        # @api private
        def fits?(http_method, url)
          # A pattern may be anything: it says itself what it fits.
          (@method.nil? || @method == http_method) && @url === url # rubocop:disable Style/CaseEquality
        end

        # @param request [Testing::Request]
        # @return [Array(Integer, Hash, #each)]
        # @api private
        def answer(request) = @answer.call(request)

        # @return [String] which requests, for people
        def to_s = "#{@method || "any method"} #{@url.is_a?(String) ? @url : @url.inspect}"

        # @return [String]
        def inspect = "#<#{self.class} #{self}>"
      end
    end
  end
end
