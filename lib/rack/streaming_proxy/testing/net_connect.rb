# frozen_string_literal: true

module Rack
  module StreamingProxy
    module Testing
      # A request would have gone to its real upstream in a test. No StandardError, so that no
      # `rescue` of the application takes it for an upstream's failure.
      class NetConnectNotAllowedError < Exception # rubocop:disable Lint/InheritException
      end

      # Which requests may go to their real upstreams. Immutable.
      # @api private
      class NetConnect
        AUTHORITY = %r{\Ahttps?://((\[[^\]]*\]|[^:/?]+)(?::\d+)?)}
        LOOPBACK = /\A(?:localhost|127(?:\.\d+){3}|\[::1\])\z/
        private_constant :AUTHORITY, :LOOPBACK

        # @param refused [Boolean] whether those that are not allowed are refused
        # @param allow [Object]
        def initialize(refused: false, allow: [])
          @refused = refused
          @allow = allow.is_a?(Array) ? allow.dup.freeze : [allow]
        end

        # @param method [String]
        # @param url [String]
        # @param registry [Registry] for the message
        # @return [nil]
        # @raise [NetConnectNotAllowedError]
        def check(method, url, registry)
          return if !@refused || @allow.any? { |entry| allowed?(entry, url) }

          raise NetConnectNotAllowedError, message(method, url, registry)
        end

        private

        def allowed?(entry, url)
          return entry === url unless entry.is_a?(String) # rubocop:disable Style/CaseEquality

          _, authority, host = *AUTHORITY.match(url)
          entry = entry.downcase
          [authority, host].include?(entry) || (entry == "localhost" && LOOPBACK.match?(host))
        end

        def message(method, url, registry)
          <<~TEXT
            No stub fits #{method} #{url}, and real connections are not allowed here. Stub it:

              Rack::StreamingProxy::Testing.stub(#{url.inspect}, method: :#{method.downcase}) do |request|
                [200, { "Content-Type" => "text/plain" }, ["hello"]]
              end

            or allow it: Rack::StreamingProxy::Testing.disable_net_connect!(allow: #{url[AUTHORITY, 2].inspect})

            #{registry.describe}
          TEXT
        end
      end
    end
  end
end
