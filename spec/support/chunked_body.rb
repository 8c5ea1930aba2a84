# frozen_string_literal: true

# The chunked coding read strictly: it tells a body that is complete from one that was cut short.
class ChunkedBody
  attr_reader :data, :chunks, :rest

  def self.encode(*pieces, finish: true)
    framed = pieces.map { |piece| "#{piece.bytesize.to_s(16)}\r\n#{piece}\r\n" }.join
    finish ? "#{framed}0\r\n\r\n" : framed
  end

  def initialize(bytes)
    @rest = bytes.b
    @chunks = []
    @complete = false
    @malformed = false
    parse
    @data = @chunks.join
  end

  def complete?
    @complete
  end

  def malformed?
    @malformed
  end

  private

  def parse
    while (match = /\A(\h+)(?:;[^\r\n]*)?\r\n/.match(@rest))
      size = match[1].hex
      break last_chunk(match) if size.zero?
      break if @rest.bytesize < match[0].bytesize + size + 2

      one_chunk(match[0].bytesize, size)
    end
    @malformed = true if !@complete && !@rest.empty? && !@rest.match?(/\A\h+/)
  end

  def last_chunk(match)
    return unless @rest.byteslice(match[0].bytesize, 2) == "\r\n"

    @complete = true
    @rest = @rest.byteslice((match[0].bytesize + 2)..)
  end

  def one_chunk(start, size)
    @chunks << @rest.byteslice(start, size)
    @malformed = true unless @rest.byteslice(start + size, 2) == "\r\n"
    @rest = @rest.byteslice((start + size + 2)..)
  end
end
