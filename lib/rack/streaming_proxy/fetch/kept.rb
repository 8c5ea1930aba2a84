# frozen_string_literal: true

module Rack
  module StreamingProxy
    class Fetch
      # An IO that is read behind its callback, which may close it or read on meanwhile: has a
      # descriptor of its own and, where it can seek, a position of its own. What a subclass reads
      # in a way of its own has no such position.
      # @api private
      class Kept
        # @param io [Object]
        # @return [Kept, Object] the same if it is no IO of Ruby's own
        def self.of(io)
          io = io.to_io if defined?(::Tempfile) && io.is_a?(::Tempfile)
          io.is_a?(::IO) ? new(io) : io
        end

        # @param io [IO]
        def initialize(io)
          @ahead = "".b
          @position = position_in(io)
          # To close a process that is read from waits for its end, which comes once all is read:
          # with a duplicate here its owner would wait for ever.
          @io = io.pid ? io : io.clone
        end

        # Some bytes, as soon as there are any; may block.
        #
        # @param size [Integer]
        # @return [String]
        # @raise [EOFError] at the end
        def readpartial(size)
          return @ahead.slice!(0, size) unless @ahead.empty?
          return @io.readpartial(size) unless @position

          # The position of a duplicate's own is that of the IO, too.
          @io.pread(size, @position).tap { |piece| @position += piece.bytesize }
        end

        # Frees the descriptor; waits for a process that was read from.
        def close = @io.close

        private

        # A duplicate lacks what Ruby has read ahead of an IO that cannot seek.
        def position_in(io)
          position = io.pos
          position if io.method(:readpartial).owner.equal?(::IO)
        rescue Errno::ESPIPE
          @ahead << io.readpartial(Pieces::SIZE) while ahead?(io)
        end

        def ahead?(io)
          io.sysseek(0, ::IO::SEEK_CUR)
        rescue Errno::ESPIPE
          false
        rescue IOError
          true # Ruby refuses to, for it has read ahead.
        end
      end
    end
  end
end
