# frozen_string_literal: true

require_relative "input"

module Rack
  module StreamingProxy
    # A Rack request on its way to an upstream: method, header pairs, body. Made once for each
    # proxied request; does no I/O but look at the input's first bytes where no length is given.
    class Request
      class << self
        # What opens exchanges in the engine's place, with the same arguments but for the settings
        # in the policy's: {Testing}, in tests that ask for it.
        #
        # @return [#open, nil]
        # @api private
        attr_accessor :stand_in

        # Opens an exchange; nothing is waited for.
        #
        # @param target [Target]
        # @param request [Array] `[method, fields, client, body, rewindable]`
        # @param settings [Configuration]
        # @return [Native::Exchange, Array] or the facts of a failure
        # @api private
        def open(target, request, settings)
          # WebMock does not see a native client: for what it promises somebody has to stand in.
          require "rack/streaming_proxy/testing" if defined?(::WebMock)
          return stand_in.open(target.native, request, settings) if stand_in

          Native::Client.open(target.native, request, settings.policy)
        end
      end

      # @return [Target] where it goes
      attr_reader :target

      # @return [Input] the body
      # @api private
      attr_reader :input

      # @return [Hash]
      # @api private
      attr_reader :env

      # @return [String, nil] the protocols that the upstream is asked to change to
      # @api private
      attr_accessor :upgrade

      # @param target [Target]
      # @param rack_request [ClientRequest]
      # @param server [Server::Generic] the adaptation for the application server
      # @raise [RequestError] if it cannot be sent as HTTP
      def initialize(target, rack_request, server)
        @target = target
        @env = rack_request.env
        @server = server
        @host = rack_request.host_authority
        server.fault&.then { |what| refuse(what) }
        check_hosts(@env["HTTP_HOST"].to_s, rack_request.target_authority)
        check_asterisk
        check_path
        @input = Input.new(@env, server)
      end

      # @return [String] any token, as the client sent it
      def http_method = @env["REQUEST_METHOD"]

      # @return [Array<Array(String, String)>] the client's headers, in order, without Host
      def fields
        @fields ||= begin
          fields = @env.filter_map { |key, value| field(key, value.to_s) if header?(key) }
          DERIVED.each do |key, name|
            value = @env[key].to_s
            fields.push([name, value]) unless value.empty?
          end
          fields
        end
      end

      # @return [Integer, nil] how often a TRACE or OPTIONS may still be passed on
      # @raise [RequestError] if that cannot be told: a limit is not guessed
      # @api private
      def max_forwards
        value = @env["HTTP_MAX_FORWARDS"]
        return unless value && %w[TRACE OPTIONS].include?(http_method)

        value.b.match?(/\A\d{1,18}\z/) ? value.to_i : refuse("Max-Forwards is no number")
      end

      # @return [String] the client's version of HTTP, such as `"1.1"`
      # @api private
      def http_version = @server.http_version

      # Opens the exchange; nothing is waited for.
      #
      # @param settings [Configuration]
      # @return [Native::Exchange, Array] or the facts of a failure
      # @api private
      def open(settings)
        request = [http_method, fields, client(settings), @input.kind, @input.rewindable?]
        Request.open(target, request, settings)
      end

      # @param settings [Configuration]
      # @return [Array] `[address, scheme, host, version, early_hints?, upgrade]` of the client
      # @api private
      def client(settings)
        believing = settings.x_forwarded != :replace
        scheme = believing ? @env["rack.url_scheme"] : @server.scheme
        [@env["REMOTE_ADDR"], scheme, @host, http_version, !@server.early_hints.nil?, @upgrade]
      end

      private

      # Not the client's headers: what the server derives from the request line, and the lengths,
      # which are computed.
      NOT_HEADERS = %w[HTTP_HOST HTTP_VERSION HTTP_CONTENT_LENGTH HTTP_CONTENT_TYPE].freeze
      # What servers and Rails keep elsewhere: Rails has its own request id, made of the client's.
      DERIVED = { "CONTENT_TYPE" => "Content-Type",
                  "action_dispatch.request_id" => "X-Request-Id" }.freeze
      private_constant :NOT_HEADERS, :DERIVED

      # RFC 9112 section 3.2: what is not one host is refused, also where it would not count.
      def check_hosts(field, named)
        refuse("Host is malformed") unless field.empty? || host?(field)
        refuse("target has a malformed host") unless named.nil? || host?(named)
      end

      def check_asterisk
        target = @env["REQUEST_URI"] || @env["PATH_INFO"]
        refuse("target is \"*\", which is for OPTIONS alone") if
          target == "*" && http_method != "OPTIONS"
      end

      # Behind a host, such a path would go on with it: "http://files.internal" + "@other.test/".
      def check_path
        path = @env["PATH_INFO"].to_s
        refuse("path does not begin with a slash") unless path.empty? || path.start_with?("/", "*")
      end

      def host?(text) = SettingChecks.authority?(text)

      def refuse(what)
        raise RequestError, "the request's #{what}"
      end

      def header?(key)
        return @server.expects_continue? if key == "HTTP_EXPECT"
        return !@env["action_dispatch.request_id"] if key == "HTTP_X_REQUEST_ID"

        key.start_with?("HTTP_") && !NOT_HEADERS.include?(key)
      end

      def field(key, value)
        value = (max_forwards - 1).to_s if key == "HTTP_MAX_FORWARDS" && max_forwards&.positive?
        [key.delete_prefix("HTTP_").tr("_", "-"), value]
      end
    end
  end
end
