# frozen_string_literal: true

require_relative "input"

module Rack
  module StreamingProxy
    # A Rack request on its way to an upstream: method, header pairs, body. Made once for each
    # proxied request; does no I/O but look at the input's first bytes where no length is given.
    class Request
      # @return [Target] where it goes
      attr_reader :target

      # @return [Input] the body
      # @api private
      attr_reader :input

      # @param target [Target]
      # @param rack_request [Rack::Request]
      # @param server [Server::Generic] the adaptation for the application server
      # @raise [RequestError] if it cannot be sent as HTTP
      def initialize(target, rack_request, server = Server.for(rack_request.env))
        @target = target
        @env = rack_request.env
        @server = server
        @input = Input.new(@env, server)
      end

      # @return [String] any token, as the client sent it
      def http_method = @env["REQUEST_METHOD"]

      # @return [Array<Array(String, String)>] the client's headers, in order, without Host
      def fields
        @fields ||= begin
          fields = @env.filter_map { |key, value| [header_name(key), value.to_s] if header?(key) }
          type = @env["CONTENT_TYPE"]
          type.to_s.empty? ? fields : fields.push(["Content-Type", type])
        end
      end

      # Opens the exchange; nothing is waited for.
      #
      # @param settings [Configuration]
      # @return [Native::Exchange, Array] or the facts of a failure
      # @api private
      def open(settings)
        request = [http_method, fields, client(settings), @input.kind, @input.rewindable?]
        Native::Client.open(target.native, request, settings.policy)
      end

      private

      # Not the client's headers: what the server derives from the request line, and the lengths,
      # which are computed.
      NOT_HEADERS = %w[HTTP_HOST HTTP_VERSION HTTP_CONTENT_LENGTH HTTP_CONTENT_TYPE].freeze
      private_constant :NOT_HEADERS

      def header?(key)
        key.start_with?("HTTP_") && !NOT_HEADERS.include?(key)
      end

      def header_name(key)
        key.delete_prefix("HTTP_").tr("_", "-")
      end

      def client(settings)
        believing = settings.x_forwarded != :replace
        scheme = believing ? @env["rack.url_scheme"] : @server.scheme
        [@env["REMOTE_ADDR"], scheme, @env["HTTP_HOST"], @server.http_version]
      end
    end
  end
end
