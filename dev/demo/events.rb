# frozen_string_literal: true

require_relative "ticks"

module Demo
  # Server-sent events.
  class Events < Ticks
    TITLE = "Server-sent events"
    COUNT = 10
    EVERY = 0.1
    TARGET = "GET /sse?events=#{COUNT}&every=#{EVERY}".freeze
    ABOUT = "each event when it arrives"
    END_MARK = "\n\n"
    DATA = /data: {"event":\d+,"of":#{COUNT},"sent_at":(?<sent>\d+\.\d{6})}/
    CHUNK = /\Aid: (?<number>\d+)\nevent: tick\n#{DATA}\n\n\z/
  end
end
