# frozen_string_literal: true

module Rack
  module StreamingProxy
    # The chunked transfer coding, where a server leaves it to us (RFC 9112 section 7.1).
    # @api private
    module Chunked
      LAST = "0\r\n\r\n"

      # @param data [String] not empty
      # @return [String] binary
      def self.chunk(data)
        "#{data.bytesize.to_s(16)}\r\n".b << data << "\r\n"
      end
    end
  end
end
