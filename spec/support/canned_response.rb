# frozen_string_literal: true

# A response in pieces, each of which ends at a boundary where a spec may cut it.
class CannedResponse
  # What a piece is (:head, :frame or :data), and where a cut after it falls.
  Piece = Struct.new(:kind, :boundary, :text)

  # @param ending [Symbol] :framing, or :connection when the body lasts until that ends
  def initialize(pieces, ending: :framing)
    @pieces = pieces.map { |piece| Piece.new(*piece) }
    @ending = ending
  end

  # @return [Array<String>] names of the places to cut
  def boundaries
    @pieces.map(&:boundary)
  end

  def bytes_until(boundary)
    pieces_until(boundary).map(&:text).join
  end

  def body_until(boundary)
    pieces_until(boundary).select { |piece| piece.kind == :data }.map(&:text).join
  end

  def head_until?(boundary)
    pieces_until(boundary).map(&:kind).count(:head) == @pieces.map(&:kind).count(:head)
  end

  # Whether what came until the boundary is the whole, when the upstream ends it in this way.
  def whole_until?(boundary, ending)
    return head_until?(boundary) && ending == :close if @ending == :connection

    boundary == boundaries.last
  end

  # Whether the connection may serve on when nothing more comes after the boundary.
  def serves_on_after?(boundary)
    @ending == :framing && boundary == boundaries.last
  end

  private

  def pieces_until(boundary)
    @pieces.take(boundaries.index(boundary) + 1)
  end
end
