# frozen_string_literal: true

module Rack
  module StreamingProxy
    # What the block gets: a Rack::Request that also answers to `query`, which the README of 2.x
    # uses, and that reads the request's target as HTTP does, whatever the server made of it.
    class ClientRequest < Rack::Request
      ABSOLUTE = %r{\A[a-z][a-z0-9+.-]*://([^/?#]*)}i
      EMPTY_QUERY = /\A[^?#]*\?(?:#|\z)/n
      private_constant :ABSOLUTE, :EMPTY_QUERY

      # @return [String] the query string, without "?"; empty if there is none
      def query = query_string

      # Empty for `OPTIONS *`, so that a URL made of it has none either, and for all that does not
      # begin with a slash: behind a host it would be more of the host.
      #
      # @return [String]
      def path
        path = super
        path.start_with?("/") ? path : ""
      end

      # @return [String] path and query; an empty query keeps its question mark
      def fullpath
        empty = query_string.empty? && EMPTY_QUERY.match?(get_header("REQUEST_URI").to_s.b)
        empty ? "#{path}?" : super
      end

      # Host and port as the client wrote them. Those of an absolute target override the field Host
      # (RFC 9112 section 3.2.2), which some servers leave to us.
      #
      # @return [String, nil]
      def host_authority = target_authority || super

      # @return [String, nil] what an absolute target names; may be empty or malformed
      # @api private
      def target_authority
        return if Server.rewrites_target?(env)

        get_header("REQUEST_URI").to_s.b[ABSOLUTE, 1]
      end
    end
  end
end
