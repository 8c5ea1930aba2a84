# frozen_string_literal: true

require_relative "notifications"
require_relative "log_tags"

module Rack
  module StreamingProxy
    # Tells the log and ActiveSupport::Notifications of one request, from its start to the end of
    # its body: the events `request.streaming_proxy`, `retry.streaming_proxy` and
    # `error.streaming_proxy`. What a subscriber raises is logged and changes nothing.
    # @api private
    class Instrumentation
      REQUEST = "request.streaming_proxy"
      RETRY = "retry.streaming_proxy"
      ERROR = "error.streaming_proxy"
      # A report before there is an exchange.
      NOTHING = [[], 0, 0].freeze
      ABOUT = %i[method upstream url logger].freeze
      # An upstream's ways to end a response early.
      CUTS = [ProtocolError, TimeoutError, ConnectError, TlsError, BodyError].freeze
      private_constant :NOTHING, :ABOUT, :CUTS

      # @param settings [Configuration]
      # @param http_method [String]
      # @param target [Target]
      def initialize(settings, http_method, target)
        @log = Log.new(settings.logger, settings.log_verbosity)
        @payload = { method: http_method, upstream: target.origin, url: target.to_s,
                     delivery: :body, logger: settings.logger }
      end

      # @param way [Symbol] `:early` or `:tunnel`, once the exchange has left its thread
      def delivery=(way)
        @payload[:delivery] = way
      end

      # The response has been written to the client's socket, not in the application's thread.
      def written_by_engine
        self.delivery = :hijack if @payload[:delivery] == :body
      end

      # Has another event begin and end with this one.
      #
      # @param name [String]
      # @param payload [Hash]
      def alongside(name, payload)
        @alongside = [name, payload]
      end

      # The request is taken in: the event begins.
      def start
        @started = clock
        @tags = LogTags.new(@payload[:logger])
        @subscribed = defined?(LogSubscriber) && LogSubscriber.attached?
        named = [[REQUEST, @payload], @alongside].compact
        @events = named.filter_map { |event| Notifications.handle(*event) }
        @events.each { |event| guarded { event.start } }
      end

      # @param fields [Array<Array(String, String)>] the client's header fields
      def sending(fields)
        @log.starting(@payload, fields)
      end

      # @param head [Array] `[status, fields, length or nil, body?]`
      # @param report [Array] `[attempts, bytes_up, bytes_down]`
      def head(head, report)
        @answered = clock
        retries(report)
        @log.head(head)
      end

      # The response is over.
      #
      # @param status [Integer, nil] what the client sees; nil: nobody has waited for it
      # @param report [Array, nil]
      # @param complete [Boolean] whether it ended whole
      def finish(status, report = NOTHING, complete: true)
        return if @finished

        @finished = true
        aborted_by = complete ? nil : side
        @payload.merge!(facts(status, report || NOTHING), complete:, aborted_by:)
        @tags.restore do
          @events.reverse_each { |event| guarded { event.finish } }
          @log.finished(@payload, clock - @started) unless @subscribed
        end
      end

      # Something went wrong.
      #
      # @param error [StandardError]
      # @param report [Array, nil]
      # @param status [Integer, nil] what the client sees; nil: that is the application's to say
      def failed(error, report, status: (error.status if error.is_a?(Error)))
        return if @finished

        retries(report || NOTHING) unless @answered
        @payload.merge!(status:, error: class_of(error).name, exception_object: error,
                        exception: [error.class.name, error.message])
        expected = Log::EXPECTED.include?(class_of(error))
        @tags.restore { publish(ERROR, @payload.dup) } unless expected
        finish(status, report, complete: false)
      end

      # @param message [String]
      def warn(message)
        @tags.restore { @log.warn(message) }
      end

      private

      def retries(report)
        attempts, = report
        attempts[0...-1].each.with_index(1) do |(reused, connect, head, status, message), attempt|
          payload = @payload.slice(*ABOUT).merge(attempt:, status:, message:, reused:,
                                                 timings: { connect:, head: })
          publish(RETRY, payload)
          @log.retrying(payload) unless @subscribed
        end
      end

      def facts(status, report)
        attempts, bytes_up, bytes_down = report
        reused, = attempts.last
        { status:, bytes_up:, bytes_down:, attempts: attempts.size, reused: reused || false,
          timings: timings(attempts) }
      end

      # Seconds, of all attempts together.
      def timings(attempts)
        connect, head = [1, 2].map { |phase| attempts.sum(0.0) { |attempt| attempt[phase] } }
        { connect:, head:, body: @answered ? clock - @answered : 0.0 }
      end

      # Who has ended a response before its time, if that was either side. A body that is closed
      # without a failure has lost its client.
      def side
        error = @payload[:exception_object] or return (:client if @answered)
        error = class_of(error)
        return :client if error <= ClientGone || error <= RequestBodyError

        :upstream if @answered && CUTS.include?(error)
      end

      # Of a response that was cut short, why it was.
      def class_of(error)
        ((error.cause if error.is_a?(BodyError)) || error).class
      end

      def publish(name, payload)
        guarded { Notifications.publish(name, payload) }
      end

      # Whoever listens must not change what he hears of.
      def guarded
        yield
      rescue StandardError => e
        @log.warn("a subscriber failed: #{e.class}: #{e.message}")
      end

      def clock
        Process.clock_gettime(Process::CLOCK_MONOTONIC)
      end
    end
  end
end
