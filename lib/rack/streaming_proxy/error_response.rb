# frozen_string_literal: true

module Rack
  module StreamingProxy
    # What a client gets when there is no response to pass on: the status and its name in plain
    # text, nothing of what went wrong.
    # @api private
    module ErrorResponse
      REASONS = {
        400 => "Bad Request", 405 => "Method Not Allowed", 413 => "Content Too Large",
        502 => "Bad Gateway", 503 => "Service Unavailable", 504 => "Gateway Timeout",
        508 => "Loop Detected"
      }.freeze
      # Seconds: a connection comes free with the next response that ends.
      RETRY_LATER = [%w[retry-after 1]].freeze

      # @param error [Failure]
      # @param request [Rack::Request] of which HEAD gets no body
      # @return [Array(Integer, Hash, Array<String>)]
      def self.for(error, request)
        status, headers, body = plain(error.status, error.is_a?(Overloaded) ? RETRY_LATER : [])
        [status, headers, request.head? ? [] : body]
      end

      # @param status [Integer]
      # @param fields [Array<Array(String, String)>] headers beside its own
      # @return [Array(Integer, Hash, Array<String>)]
      def self.plain(status, fields = [])
        text = "#{status} #{REASONS.fetch(status)}"
        fields += [["content-type", "text/plain"]]
        [status, RackHeaders.from(fields, text.bytesize), [text]]
      end
    end
  end
end
