# frozen_string_literal: true

require_relative "clock"
require_relative "download"
require_relative "events"
require_relative "proxy_memory"
require_relative "slow_stream"
require_relative "upload"

module Demo
  # All shows one after the other, and the summary.
  class Performance
    # @param stage [Stage]
    def initialize(stage)
      @stage = stage
      memory = ProxyMemory.new(stage)
      @shows = [SlowStream.new(stage), Events.new(stage), Upload.new(stage),
                Download.new(stage, memory), memory]
    end

    # @return [Boolean] whether everything was as it should be
    def call
      began = Clock.now
      verdicts = @shows.map { |show| @stage.lost.empty? ? show.call : show.not_run }
      verdicts << servers
      summary(verdicts, Clock.now - began)
      verdicts.all?(&:passed)
    end

    private

    def servers
      lost = @stage.lost
      text = lost.empty? ? "both ran to the end" : lost.map(&:ending).join("; ")
      Show::Verdict.new("Servers", lost.empty?, text)
    end

    def summary(verdicts, seconds)
      @stage.say("\nSummary")
      verdicts.each do |verdict|
        outcome = verdict.passed ? "ok" : "FAILED"
        @stage.say("  #{outcome.ljust(6)}  #{verdict.title.ljust(18)}  #{verdict.text}")
      end
      failed = verdicts.reject(&:passed)
      logs unless failed.empty?
      @stage.say(format("\n%<good>d of %<all>d checks passed in %<seconds>.1f s",
                        good: verdicts.size - failed.size, all: verdicts.size, seconds:))
    end

    def logs
      [@stage.upstream, @stage.proxy].each do |server|
        @stage.say("\nThe last lines of #{server.name}'s log:\n#{server.last_words}")
      end
    end
  end
end
