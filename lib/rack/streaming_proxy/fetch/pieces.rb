# frozen_string_literal: true

module Rack
  module StreamingProxy
    class Fetch
      # What is rendered of an IO: as many bytes as are announced, also of a file that grows.
      # @api private
      class Pieces
        SIZE = 64 * 1024

        # @return [Integer, nil] bytes, if that can be told
        attr_reader :length

        # @param io [#read]
        def initialize(io)
          @io = io
          @length = Source.length_of(io)
          @sent = 0
        end

        # For what is read behind the callback.
        #
        # @return [self]
        def keep
          @io = Kept.of(@io)
          self
        end

        # Some bytes, as soon as there are any; may block.
        #
        # @return [String, nil] nil at the end
        # @raise [Error] if there is less than was announced
        def read
          most = length ? [SIZE, length - @sent].min : SIZE
          piece = most.positive? ? Source.new(@io).readpartial(most) : ""
          @sent += piece.bytesize
          piece unless piece.empty?
        rescue EOFError
          length && raise(Error, "what was rendered ended #{length - @sent} bytes before the " \
                                 "#{length} that it had at first")
        end

        # Reads to the end; may block.
        #
        # @yieldparam piece [String]
        # @raise [Error] as {#read}
        def each
          while (piece = read)
            yield piece
          end
        end

        # Frees what {#keep} has made.
        def close
          @io.close if @io.is_a?(Kept)
        end
      end
    end
  end
end
