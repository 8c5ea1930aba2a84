# frozen_string_literal: true

module Demo
  module Sabotage
    # A body whose chunks go through a block, which hands on what it likes.
    class Spoiled
      # @yieldparam chunk [String]
      # @yieldparam out [Proc] takes a chunk to the client
      def initialize(body, &spoil)
        @body = body
        @spoil = spoil
      end

      def each(&out)
        @body.each { |chunk| @spoil.call(chunk, out) }
      end

      def close
        @body.close if @body.respond_to?(:close)
      end
    end
  end
end
