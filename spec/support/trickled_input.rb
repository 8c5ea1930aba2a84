# frozen_string_literal: true

# A request body that never ends and never blocks: byte after byte, until a block is given that says
# what comes next, or raises.
class TrickledInput
  def initialize
    @after = nil
  end

  def then(&after)
    @after = after
  end

  def read(size)
    @after ? @after.call(size) : "p"
  end
end
