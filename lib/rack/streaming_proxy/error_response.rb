# frozen_string_literal: true

module Rack
  module StreamingProxy
    # What a client gets when there is no response to pass on: the status and its name in plain
    # text, nothing of what went wrong.
    # @api private
    module ErrorResponse
      REASONS = {
        400 => "Bad Request", 405 => "Method Not Allowed", 413 => "Content Too Large",
        500 => "Internal Server Error", 502 => "Bad Gateway", 503 => "Service Unavailable",
        504 => "Gateway Timeout", 508 => "Loop Detected"
      }.freeze
      # Seconds: a connection comes free with the next response that ends.
      RETRY_LATER = [%w[retry-after 1]].freeze

      # @param error [StandardError] 500 for what is the application's to handle: its own
      #   exceptions, and a 5xx under `raise_on_5xx`
      # @param head [Boolean] whether the request was a HEAD, which gets no body
      # @return [Array(Integer, Hash, Array<String>)]
      def self.for(error, head)
        status = error.is_a?(Failure) && !error.is_a?(HttpServerError) ? error.status : 500
        status, headers, body = plain(status, error.is_a?(Overloaded) ? RETRY_LATER : [])
        [status, headers, head ? [] : body]
      end

      # @param status [Integer]
      # @param fields [Array<Array(String, String)>] headers beside its own
      # @return [Array(Integer, Hash, Array<String>)]
      def self.plain(status, fields = [])
        fields += [["content-type", "text/plain"]]
        text(status, "#{status} #{REASONS.fetch(status)}", fields)
      end

      # @param status [Integer]
      # @param text [String]
      # @param fields [Array<Array(String, String)>]
      # @return [Array(Integer, Hash, Array<String>)]
      def self.text(status, text, fields)
        [status, RackHeaders.from(fields, text.bytesize), [text]]
      end
    end
  end
end
