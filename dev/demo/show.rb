# frozen_string_literal: true

require_relative "exchange"

module Demo
  # One thing that the demo shows and checks while it shows it. A subclass has TITLE and `show`,
  # which returns what the summary says or raises Wrong.
  class Show
    # What was shown is not as it should be.
    class Wrong < StandardError
    end

    # The outcome of one show.
    Verdict = Struct.new(:title, :passed, :text)

    # @param stage [Stage]
    def initialize(stage)
      @stage = stage
    end

    # Shows it. May block as long as the show takes.
    #
    # @return [Verdict]
    def call
      verdict(true, show)
    rescue Wrong, Exchange::Failure, SystemCallError => e
      verdict(false, e.message)
    end

    # @return [Verdict] for a show that could not take place
    def not_run
      verdict(false, "not run")
    end

    private

    def verdict(passed, text)
      Verdict.new(self.class::TITLE, passed, text)
    end

    def proxy
      @stage.proxy
    end

    def say(text)
      @stage.say(text)
    end

    def heading(target, text)
      say("\n#{self.class::TITLE}: #{target}, #{text}")
    end

    def at(exchange, text)
      say(format("%<time>8.3f s  %<text>s", time: exchange.arrived - exchange.began, text:))
    end

    def check_digest(expected, received)
      say("            SHA-256 expected  #{expected}")
      say("            SHA-256 received  #{received}")
      raise Wrong, "the SHA-256 differs: what came is not what was sent" if expected != received
    end

    def mebibytes(bytes)
      format("%.0f MiB", bytes / 1_048_576.0)
    end
  end
end
