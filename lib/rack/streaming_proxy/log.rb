# frozen_string_literal: true

module Rack
  module StreamingProxy
    # What is logged of one request: a line each for its start, its retries, its errors and its end.
    # Never a secret, never two lines. With `log_verbosity: :high` also the headers, at debug level.
    # @api private
    class Log
      PREFIX = "[Rack::StreamingProxy]"
      FILTERED = "[FILTERED]"
      SECRET = /\A(?:set-)?cookie2?\z|auth|token|secret|password|api-?key|session/i

      # Credentials and queries in a Location or a Referer.
      USER = %r{//[^/\s@]*@}n
      URL = /\A(?:location|referer|content-location)\z/i

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

      # @param head [Array] `[status, fields, length or nil, body?]`
      # @param report [Array] `[attempts, bytes_up, bytes_down]`
      def head(head, report)
        status, fields, length = head
        retries(report)
        @retries_told = true
        fields += [["content-length", length]] if length
        headers("Proxy response headers (#{status})", fields)
      end

      # @param report [Array]
      # @param abandoned [Boolean] whether nobody wanted the rest of the body
      def finish(status, report, abandoned: false)
        rest = ": the body was not read to its end" if abandoned
        write(:info, "Finishing proxy request to: #{@subject} (#{facts(status, report)})#{rest}")
      end

      # @param error [Failure]
      # @param status [Integer] what the client sees
      # @param report [Array]
      def failed(error, status, report)
        retries(report) unless @retries_told
        level = error.status == ClientGone::STATUS ? :info : :error
        facts = facts(status, report)
        write(level, "Failed proxy request to: #{@subject} (#{facts}): #{error.message}")
      end

      def warn(message)
        write(:warn, message)
      end

      private

      def retries(report)
        report.first[0...-1].each.with_index(1) do |(*, status, error), number|
          got = status ? "Got #{status}" : "Failed (#{error})"
          write(:info, "#{got}, retrying (Retry ##{number}) #{@subject}")
        end
      end

      def headers(title, fields)
        return unless @verbose

        lines = fields.map { |name, value| "#{name.downcase}: #{shown(name, value.to_s.b)}" }
        write(:debug, "#{title}: #{lines.join(" | ")}")
      end

      def shown(name, value)
        return FILTERED if name.match?(SECRET)

        name.match?(URL) ? value.gsub(USER, "//").sub(/\?.*/n, "?#{FILTERED}") : value
      end

      def write(level, message)
        line = "#{PREFIX} #{message}".dup.force_encoding("UTF-8").scrub("?")
        @logger.public_send(level, line.gsub(/[[:cntrl:]]+/, " "))
      end

      def facts(status, report)
        attempts, _up, down = report
        tries = attempts.size == 1 ? "1 attempt" : "#{attempts.size} attempts"
        milliseconds = ((clock - @started) * 1000).round
        "status #{status}, #{down} bytes, #{milliseconds} ms, #{tries}"
      end

      def clock
        Process.clock_gettime(Process::CLOCK_MONOTONIC)
      end
    end
  end
end
