# frozen_string_literal: true

require_relative "spoiled"

module Demo
  module Sabotage
    # Changes one bit of a binary response: the last of its first chunk.
    class Corrupt
      def initialize(app)
        @app = app
      end

      def call(env)
        status, headers, body = @app.call(env)
        body = corrupt(body) if binary?(headers)
        [status, headers, body]
      end

      private

      def binary?(headers)
        headers.any? do |name, value|
          name.casecmp?("content-type") && value == "application/octet-stream"
        end
      end

      def corrupt(body)
        done = false
        Spoiled.new(body) do |chunk, out|
          chunk = flip(chunk) unless done
          done = true
          out.call(chunk)
        end
      end

      def flip(chunk)
        chunk.dup.tap { |copy| copy.setbyte(-1, copy.getbyte(-1) ^ 1) }
      end
    end
  end
end
