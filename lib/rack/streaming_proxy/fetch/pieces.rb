# frozen_string_literal: true

module Rack
  module StreamingProxy
    class Fetch
      # What is rendered of an IO: as many bytes as are announced, also of a file that grows.
      # @api private
      class Pieces
        include Enumerable

        SIZE = 64 * 1024
        private_constant :SIZE

        # @return [Integer, nil] bytes, if that can be told
        attr_reader :length

        # @param io [#read]
        def initialize(io)
          @io = io
          @length = Source.length_of(io)
        end

        # Reads on; may block.
        #
        # @yieldparam piece [String]
        # @raise [Error] if there is less than was announced
        def each
          sent = 0
          while (piece = piece_behind(sent))
            sent += piece.bytesize
            yield piece
          end
          refuse(length - sent) if length && sent < length
        end

        private

        def piece_behind(sent)
          most = length ? [SIZE, length - sent].min : SIZE
          piece = @io.read(most) if most.positive?
          return if piece.nil? || piece.empty?

          length ? piece.byteslice(0, most) : piece
        end

        def refuse(left)
          raise Error, "what was rendered ended #{left} bytes before the #{length} that it had " \
                       "at first"
        end
      end
    end
  end
end
