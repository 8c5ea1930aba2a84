# frozen_string_literal: true

module Rack
  module StreamingProxy
    module Server
      # The `rack.hijack` of Unicorn, and of Pitchfork, whose parser comes from it.
      # @api private
      module UnicornParser
        private

        # `rack.hijack` is the parser, which has what has been read.
        def hijacked_bytes
          parser = hijack_of_server
          parser.respond_to?(:buf) ? parser.buf.b : ""
        end
      end
    end
  end
end
