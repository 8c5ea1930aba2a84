# frozen_string_literal: true

require_relative "punctuality"
require_relative "show"

module Demo
  # A stream of numbered, time-stamped chunks, shown as they arrive. A subclass has the constants
  # TITLE, TARGET, ABOUT, COUNT, EVERY, END_MARK (what ends a chunk) and CHUNK (its parts).
  class Ticks < Show
    private

    def show
      heading(self.class::TARGET, self.class::ABOUT)
      punctuality = Punctuality.new(self.class::EVERY)
      Exchange.open(proxy, self.class::TARGET) { |exchange| receive(exchange, punctuality) }
      fault = punctuality.fault
      raise Wrong, fault if fault

      punctuality.to_s
    rescue Exchange::Failure => e
      raise Wrong, "#{punctuality.count} of #{self.class::COUNT} chunks, then: #{e.message}"
    end

    def receive(exchange, punctuality)
      rest = String.new
      exchange.each_piece do |piece|
        rest << piece
        while (chunk = rest.slice!(/\A.*?#{self.class::END_MARK}/m))
          tick(chunk, exchange, punctuality)
        end
      end
      return if rest.empty? && punctuality.count == self.class::COUNT

      raise Wrong, "ended after #{punctuality.count} of #{self.class::COUNT} chunks"
    end

    def tick(chunk, exchange, punctuality)
      fields = self.class::CHUNK.match(chunk)
      unless fields && fields[:number].to_i == punctuality.count + 1
        raise Wrong, "not chunk #{punctuality.count + 1}: #{chunk.inspect}"
      end

      delay = punctuality.add(fields[:sent].to_f, exchange.arrived)
      at(exchange, format("%<text>-40s %<delay>6.1f ms after it was sent",
                          text: chunk.strip.lines.last.strip, delay: delay * 1000))
    end
  end
end
