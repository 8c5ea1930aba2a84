# frozen_string_literal: true

require_relative "spoiled"

module Demo
  module Sabotage
    # Keeps every chunk for as long as the process lives.
    class Grow
      def initialize(app)
        @app = app
        @kept = []
      end

      def call(env)
        status, headers, body = @app.call(env)
        kept = Spoiled.new(body) do |chunk, out|
          @kept << chunk
          out.call(chunk)
        end
        [status, headers, kept]
      end
    end
  end
end
