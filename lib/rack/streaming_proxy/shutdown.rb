# frozen_string_literal: true

module Rack
  module StreamingProxy
    # What a process does at its end for the responses that its engine still writes to clients: it
    # waits until they have ended or their `drain_timeout` has passed, and cuts the rest. INT ends
    # the waiting; other signals do what they did before.
    # @api private
    module Shutdown
      # Seconds for each of log and reports, which the application may hold up for ever.
      REPORTS = 2
      private_constant :REPORTS

      class << self
        # Has this process do so when it exits; one that is forked from it does not.
        def at_exit
          pid = Process.pid
          Kernel.at_exit { call if pid == Process.pid }
        end

        # May block for the longest `drain_timeout` and a little.
        def call
          open = Reporters.open
          return if open.empty?

          begin
            drain(open)
          ensure
            cut(open)
          end
        end

        private

        def drain(open)
          seconds = open.map { |one| one.settings.drain_timeout }.max
          until_interrupted do |interrupted|
            log(open, "The process is to end; responses that are still written: #{open.size}, " \
                      "for at most #{seconds} s (drain_timeout)")
            Native::Deliveries.drain
            StreamingProxy.wait(seconds) { interrupted.call || answered? }
          end
        end

        def cut(open)
          Native::Deliveries.cut
          open.each { |one| one.end_as(:cut) if one.cut&.call }
          StreamingProxy.wait(REPORTS) { delivered? && Reporters.open.empty? }
          log_outcomes(open)
        end

        def log_outcomes(open)
          # What a callable still holds up will not get its answer.
          Reporters.open.each { |one| one.end_as(:cut) unless one.outcome }
          cut, ended = open.partition { |one| one.outcome == :cut }
          log(open, "The process ends; of these responses #{ended.size} have ended by " \
                    "themselves, #{cut.size} were cut")
        end

        # In a thread, for Ruby's Logger would swallow what a signal raises in the main one, and a
        # logger that blocks must not keep the process.
        def log(open, message)
          logging = Thread.new { Log.new(open.first.settings.logger).info(message) }
          logging.name = "rsp-shutdown"
          logging.join(REPORTS)
        end

        # Whether nothing is being written, nor waits for a head.
        def answered? = delivered? && Reporters.open.none?(&:cut)

        def delivered? = Native::Client.stats[:streams].zero?

        # Puma's handler for INT would do nothing any more.
        def until_interrupted
          interrupted = false
          before = trap("INT") { interrupted = true }
          yield -> { interrupted }
        ensure
          trap("INT", before || "DEFAULT")
        end
      end
    end
  end
end
