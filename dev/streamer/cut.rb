# frozen_string_literal: true

module Streamer
  # A body that fails after its only chunk. Servers answer an EOFError by closing the connection;
  # any other error makes them write an error page into the half-sent body.
  class Cut
    def initialize(chunk)
      @chunk = chunk
    end

    # @raise [EOFError] always, after the chunk
    def each
      yield @chunk
      raise EOFError, "cut short, as asked"
    end
  end
end
