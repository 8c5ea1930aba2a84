# frozen_string_literal: true

module Rack
  module StreamingProxy
    class Fetch
      # The client of a server that hands no socket over: what is answered becomes Rack's triplet.
      # @api private
      class RackClient
        # What nobody has answered is not to look like an answer.
        #
        # @return [Array(Integer, Hash, #each)]
        def triplet = @triplet || ErrorResponse.plain(502)

        # @param answer [Array(Integer, Hash, #each)]
        def answer(answer)
          status, headers, body = answer
          shaped = RackHeaders.from(headers.flat_map { |name, values| pairs(name, values) }, nil)
          @triplet = [status, shaped, body]
          close
        end

        # Reads all of it now: behind the callback its owner may close it.
        #
        # @param status [Integer]
        # @param headers [Hash]
        # @param pieces [Pieces]
        def stream(status, headers, pieces)
          answer([status, headers, [pieces.to_a.join]])
        end

        # @raise [Error]
        def write(_data)
          raise Error, "this server has handed no socket over: use render in place of write"
        end

        # Nothing more is taken.
        def close(**)
          @closed = true
        end

        # @return [Boolean]
        def closed? = @closed || false

        # @return [Boolean] the same: it gets its answer whole
        def begun? = closed?

        private

        def pairs(name, values)
          Array(values).map { |value| [name.downcase, value] }
        end
      end
    end
  end
end
