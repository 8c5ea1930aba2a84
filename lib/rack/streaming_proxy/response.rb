# frozen_string_literal: true

require_relative "body"
require_relative "rack_headers"

module Rack
  module StreamingProxy
    # An upstream's response as a Rack response.
    class Response
      # @return [Integer]
      attr_reader :status

      # @return [Integer, nil] bytes of the body, if the upstream said so
      attr_reader :length

      # @param head [Array] `[status, fields, length or nil, body?]`
      # @param session [Session]
      # @param server [Server::Generic]
      # @param instrumentation [Instrumentation]
      # @param on_complete [#call, nil] gets this response when its body has ended whole
      def initialize(head, session, server, instrumentation, on_complete: nil)
        @on_complete = on_complete
        @status, @fields, @length, @has_body = head
        @session = session
        @server = server
        @instrumentation = instrumentation
      end

      # @return [#call, nil] what gets the error when the body was cut short
      # @api private
      attr_writer :on_error

      # @return [Boolean] whether it has a body
      def body? = @has_body

      # @return [Array(Integer, Hash, #each)] status, headers, body
      def to_a
        return [@status, headers, bodiless] unless @has_body

        @server.prepare(@length)
        framed = @server.frames?(@length)
        headers = self.headers
        headers.merge!(Framing.coding(:chunks)) if framed
        [@status, headers, Body.new(@session, @server, @instrumentation, self, framed)]
      end

      # The fields that came behind the body (RFC 9110 section 6.5), without those that may not
      # come there: framing, routing, authentication, caching. The client does not get them, for
      # Rack has no place for them.
      #
      # @return [Hash] in the shape of Rack's headers; empty before the body has ended
      def trailers
        RackHeaders.from(@session.trailers, nil)
      end

      # Tells `on_complete` that the body has ended whole; what it raises is logged. Called once.
      # @api private
      def complete
        @on_complete&.call(self)
      rescue StandardError, ScriptError => e
        @instrumentation.warn("on_complete failed: #{e.class}: #{e.message}")
      end

      # Forgets the request: its body is delivered, whatever becomes of the server's thread.
      # @api private
      def let_go
        @server = nil
      end

      # Tells `on_error` that the body was cut short; what it raises is logged. Called once.
      #
      # @param error [BodyError]
      # @api private
      def cut_short(error)
        @on_error&.call(error)
      rescue StandardError, ScriptError => e
        @instrumentation.warn("on_error failed: #{e.class}: #{e.message}")
      end

      # @return [Boolean] whether Rack 2's Rack::ETag would collect this response
      def digestible? = [200, 201].include?(@status) && !validator?

      # @return [Boolean] whether Rack::ConditionalGet could find it unchanged
      def validator? = @fields.any? { |name,| %w[etag last-modified].include?(name) }

      # @return [Hash] in the shape of Rack's
      # @api private
      def headers
        fields = entity? ? @fields : @fields.reject { |name,| name == "content-type" }
        RackHeaders.from(fields, entity? ? @length : nil)
      end

      private

      def entity? = !RackHeaders.bodiless?(@status)

      # Servers differ in what they do with a body that may not be sent: there is none. Of an empty
      # Array some of them would announce the length, as Rack::ContentLength would, which to HEAD or
      # in a 304 is that of another response (RFC 9110 section 8.6).
      def bodiless
        @session.close
        complete
        @instrumentation.finish(@status, @session.report)
        [].each
      end
    end
  end
end
