# frozen_string_literal: true

module Demo
  # Judges whether chunks came when they were sent: each without delay, and one after the other.
  # Puma's cork alone would hold each of them back for up to 0.2 s; a busy machine delays a few.
  class Punctuality
    # Seconds that any chunk may be late.
    WORST = 0.25
    # Seconds that half of the chunks may be late.
    MEDIAN = 0.1

    # @param every [Float] seconds between the chunks as they are sent
    def initialize(every)
      @every = every
      @delays = []
      @arrivals = []
    end

    # @param sent [Float] when, as the chunk says
    # @param arrived [Float]
    # @return [Float] the delay in seconds
    def add(sent, arrived)
      @arrivals << arrived
      @delays << (arrived - sent)
      @delays.last
    end

    # @return [Integer] chunks so far
    def count
      @delays.size
    end

    # @return [String, nil] what is wrong
    def fault
      if @delays.any?(&:negative?) then "a chunk came before it was sent"
      elsif @delays.max > WORST then format("held back: a chunk came %.3f s late", @delays.max)
      elsif median(@delays) > MEDIAN
        format("held back: half of the chunks came %.3f s late or later", median(@delays))
      elsif median(gaps) < @every / 2
        format("in lumps: half of the chunks came within %.3f s of the one before", median(gaps))
      end
    end

    # @return [String]
    def to_s
      format("%<count>d came %<gap>.2f s apart, at most %<worst>.1f ms after they were sent",
             count:, gap: median(gaps), worst: @delays.max * 1000)
    end

    private

    def gaps
      @arrivals.each_cons(2).map { |one, next_one| next_one - one }
    end

    def median(numbers)
      numbers.sort[numbers.size / 2]
    end
  end
end
