# frozen_string_literal: true

module Rack
  module StreamingProxy
    # What is logged of one request: a line each for its start, its retries, its errors and its end.
    # Never a secret, never two lines. With `log_verbosity: :high` also the headers, at debug level.
    # @api private
    class Log
      PREFIX = "[Rack::StreamingProxy]"
      FILTERED = "[FILTERED]"
      SECRET = /\A(?:authorization|proxy-authorization|cookie2?|set-cookie2?|
                  .*(?:token|secret|password|api-?key|session).*)\z/ix

      # @param configuration [Configuration]
      # @param subject [String] method and URL, without credentials and query
      def initialize(configuration, subject)
        @logger = configuration.logger
        @verbose = configuration.log_verbosity == :high
        @subject = subject
        @started = clock
      end

      def start(fields)
        write(:info, "Starting proxy request to: #{@subject}")
        headers("Proxy request headers", fields)
      end

      # @param report [Array] `[attempts, bytes_up, bytes_down]`
      def head(status, fields, report)
        retries(report)
        headers("Proxy response headers (#{status})", fields)
      end

      # @param outcome [String, nil] what cut the response short, if anything did
      def finish(status, report, outcome = nil)
        attempts, _up, down = report
        tries = attempts.size == 1 ? "1 attempt" : "#{attempts.size} attempts"
        line = "Finishing proxy request to: #{@subject} " \
               "(status #{status}, #{down} bytes, #{milliseconds} ms, #{tries})"
        write(:info, outcome ? "#{line}: #{outcome}" : line)
      end

      # @param error [Exception]
      def failed(error, report)
        retries(report)
        level = error.is_a?(ClientGone) ? :info : :error
        write(level, "Failed proxy request to: #{@subject} " \
                     "(status #{error.status}, #{milliseconds} ms): #{error.message}")
      end

      def warn(message)
        write(:warn, message)
      end

      private

      def retries(report)
        report.first[0...-1].each.with_index(1) do |(*, status, error), number|
          write(:info, "Got #{status || error}, retrying (Retry ##{number}) #{@subject}")
        end
      end

      def headers(title, fields)
        return unless @verbose

        lines = fields.map do |name, value|
          "#{name.downcase}: #{name.match?(SECRET) ? FILTERED : value}"
        end
        write(:debug, "#{title}: #{lines.join(" | ")}")
      end

      def write(level, message)
        @logger.public_send(level, "#{PREFIX} #{message.scrub("?").gsub(/[[:cntrl:]]+/, " ")}")
      end

      def milliseconds
        ((clock - @started) * 1000).round
      end

      def clock
        Process.clock_gettime(Process::CLOCK_MONOTONIC)
      end
    end
  end
end
