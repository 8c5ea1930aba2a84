# frozen_string_literal: true

require_relative "spoiled"

module Demo
  module Sabotage
    # Ends a response after its second chunk.
    class Cut
      def initialize(app)
        @app = app
      end

      def call(env)
        status, headers, body = @app.call(env)
        left = 2
        cut = Spoiled.new(body) do |chunk, out|
          # Servers close the connection for an EOFError, without an error page in the body.
          raise EOFError, "cut by DEMO_SABOTAGE" if left.zero?

          left -= 1
          out.call(chunk)
        end
        [status, headers, cut]
      end
    end
  end
end
