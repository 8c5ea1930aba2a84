# frozen_string_literal: true

module Rack
  module StreamingProxy
    module Server
      # Takes the framing (RFC 9112 section 7.1) off a request body whose server has left it on:
      # strictly, because what another reader would understand otherwise must not go on. Extensions
      # and trailers are dropped.
      # @api private
      class ChunkedInput
        # The framing is malformed: the client's fault.
        class Malformed < IOError; end

        SIZE = /\A(\h{1,15})[ \t]*(?:;[^\x00-\x08\x0A-\x1F\x7F]*)?\r\n\z/n
        # Bytes of a line of framing, and of all trailers.
        LONGEST = 16 * 1024
        private_constant :SIZE, :LONGEST

        # @param source [#read] what the server gave
        def initialize(source)
          @source = source
          restart
        end

        # Blocks until so many bytes, or all of the chunk that they are in, have come.
        #
        # @param size [Integer]
        # @return [String, nil] nil at the end
        # @raise [Malformed]
        # @raise [EOFError] if the body ends before its last chunk
        def read(size)
          return if @ended

          @left ||= next_size
          return finish if @left.zero?

          data = exactly([size, @left].min)
          @left -= data.bytesize
          end_chunk if @left.zero?
          data
        end

        # Begins again at the first byte.
        def rewind
          @source.rewind
          restart
        end

        private

        def restart
          @left = nil
          @ended = false
        end

        def next_size
          SIZE.match(line(LONGEST))&.then { |match| match[1].hex } ||
            raise(Malformed, "a chunk's size is malformed")
        end

        def end_chunk
          exactly(2) == "\r\n" or raise Malformed, "a chunk is longer than its size"
          @left = nil
        end

        # Trailers end with an empty line.
        def finish
          room = LONGEST
          while (field = line(room)) != "\r\n"
            room -= field.bytesize
          end
          @ended = true
          nil
        end

        # @return [String] with its end
        def line(longest)
          text = +"".b
          text << exactly(1) until text.end_with?("\n") || text.bytesize >= longest
          text.end_with?("\r\n") ? text : raise(Malformed, "a line of chunk framing has no end")
        end

        # What is shorter than it was asked to be has come to its end.
        def exactly(count)
          data = @source.read(count)
          return data if data && data.bytesize == count

          raise EOFError, "the body ended before its last chunk"
        end
      end
    end
  end
end
