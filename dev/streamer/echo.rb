# frozen_string_literal: true

module Streamer
  # A request's body as a response's body: each piece is passed on when it has been read.
  class Echo
    # Small, because Unicorn waits for as many bytes as it is asked for when the length is known.
    PIECE = 16 * 1024

    # @param input [#read, nil] rack.input; Rack 3.1 leaves it out when there is no body
    def initialize(input)
      @input = input
    end

    # May block until the client has sent more.
    def each
      while (piece = @input&.read(PIECE))
        yield piece
      end
    end
  end
end
