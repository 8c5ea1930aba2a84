# frozen_string_literal: true

require "tempfile"

module Demo
  module Sabotage
    # Sends nothing of a response before all of it is there.
    class Buffer
      # The body read back from the file that it was collected in.
      class Collected
        def initialize(file)
          @file = file
        end

        def each
          while (piece = @file.read(64 * 1024))
            yield piece
          end
        end

        def close
          @file.close!
        end
      end

      def initialize(app)
        @app = app
      end

      def call(env)
        status, headers, body = @app.call(env)
        [status, headers, collect(body)]
      end

      private

      def collect(body)
        file = Tempfile.new("collected", binmode: true)
        body.each { |chunk| file.write(chunk) }
        file.rewind
        Collected.new(file)
      ensure
        body.close if body.respond_to?(:close)
      end
    end
  end
end
