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

      # What is nobody's error.
      EXPECTED = [ClientGone, ShutdownError].freeze

      # Credentials and queries in a Location or a Referer.
      USER = %r{//[^/\s@]*@}n
      URL = /\A(?:location|referer|content-location)\z/i

      # @param logger [Object] the setting `logger`
      # @param verbosity [Symbol] the setting `log_verbosity`
      def initialize(logger, verbosity = :low)
        @logger = logger
        @verbose = verbosity == :high
      end

      # @param payload [Hash] of the event `request.streaming_proxy`
      # @param fields [Array] the client's header fields
      def starting(payload, fields)
        write(:info, "Starting proxy request to: #{subject(payload)}")
        headers("Proxy request headers", fields)
      end

      # @param head [Array] `[status, fields, length or nil, body?]`
      def head(head)
        status, fields, length = head
        fields += [["content-length", length]] if length
        headers("Proxy response headers (#{status})", fields)
      end

      # @param payload [Hash] of the event `retry.streaming_proxy`
      def retrying(payload)
        status, message, attempt = payload.values_at(:status, :message, :attempt)
        got = status ? "Got #{status}" : "Failed (#{message})"
        write(:info, "#{got}, retrying (Retry ##{attempt}) #{subject(payload)}")
      end

      # @param payload [Hash] of the event `request.streaming_proxy`
      # @param seconds [Float] since its start
      def finished(payload, seconds)
        about = "proxy request to: #{subject(payload)} (#{facts(payload, seconds)})"
        error = payload[:exception_object]
        return write(level(error), "Failed #{about}: #{reason(error)}") if error

        write(:info, "Finishing #{about}#{rest(payload)}")
      end

      def info(message)
        write(:info, message)
      end

      def warn(message)
        write(:warn, message)
      end

      private

      def subject(payload) = "#{payload[:method]} #{payload[:url]}"

      def level(error)
        error = error.cause if error.is_a?(BodyError)
        EXPECTED.include?(error.class) ? :info : :error
      end

      # What an exception of the application says is its own matter.
      def reason(error) = error.is_a?(Failure) ? error.message : error.class.name

      def rest(payload)
        return if payload[:complete]

        payload[:status] ? ": the body was not read to its end" : ": given up before its head"
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

      # Logger rescues what is raised while it writes, an interrupt or a timeout of the thread, too.
      def write(level, message)
        line = "#{PREFIX} #{message}".dup.force_encoding("UTF-8").scrub("?")
        Thread.handle_interrupt(Exception => :never) { put(level, line.gsub(/[[:cntrl:]]+/, " ")) }
      end

      # A logger that raises must neither change an answer nor hide that one was cut short.
      def put(level, line)
        @logger.public_send(level, line)
      rescue StandardError => e
        Kernel.warn "#{PREFIX} the logger failed: #{e.class}: #{e.message}"
      end

      def facts(payload, seconds)
        status, down, attempts = payload.values_at(:status, :bytes_down, :attempts)
        tries = attempts == 1 ? "1 attempt" : "#{attempts} attempts"
        ["status #{status || "none"}", "#{down} bytes", "#{(seconds * 1000).round} ms", tries]
          .join(", ")
      end
    end
  end
end
