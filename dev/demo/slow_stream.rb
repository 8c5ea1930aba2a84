# frozen_string_literal: true

require_relative "ticks"

module Demo
  # Lines that the upstream sends slowly, without a length.
  class SlowStream < Ticks
    TITLE = "Slow stream"
    COUNT = 6
    EVERY = 0.4
    TARGET = "GET /slow_stream?chunks=#{COUNT}&every=#{EVERY}".freeze
    ABOUT = "each line when it arrives"
    END_MARK = "\n"
    CHUNK = /\Achunk (?<number>\d+) of #{COUNT} sent at (?<sent>\d+\.\d{6})\n\z/
  end
end
