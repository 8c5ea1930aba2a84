# frozen_string_literal: true

require_relative "fetch/callbacks"
require_relative "fetch/client_response"
require_relative "fetch/course"
require_relative "fetch/kept"
require_relative "fetch/pieces"
require_relative "fetch/rack_client"
require_relative "fetch/rendered"
require_relative "fetch/request"
require_relative "fetch/socket_responder"
require_relative "fetch/source"

module Rack
  module StreamingProxy
    # A request of the application's own, whose response goes to its client past the application,
    # with callbacks on the way: what {Controller#proxy_fetch} does. Nothing is sent before all
    # arguments are known to be right. What the callbacks get is public: {Callbacks},
    # {ClientResponse}, {SocketResponder}.
    # @api private
    class Fetch
      # What is sent, where nothing else is said.
      SENT = { method: nil, headers: {}.freeze, body: nil }.freeze
      # Computed from the body that is sent.
      COMPUTED = %w[connection content-length transfer-encoding].freeze
      private_constant :SENT, :COMPUTED

      # @param url [String, URI]
      # @param env [Hash] of the client's request
      # @param callbacks [Callbacks]
      # @param options [Hash{Symbol => Object}] as {Controller#proxy_fetch} takes them
      # @yieldparam callbacks [Callbacks]
      # @raise [ConfigurationError]
      # @raise [RequestError] if the client's request cannot be sent as HTTP
      def initialize(url, env, callbacks: Callbacks.new, **options)
        yield callbacks if block_given?
        @server = Server.for(env)
        sent = SENT.merge(options.slice(*SENT.keys))
        @target = Target.new(url, **settings_of(options.except(*SENT.keys), sent[:headers]))
        @settings = Configuration.new(*Proxy.layers, { delivery: :early }, @target.options)
        @request = Request.new(@target, env, @server, sent)
        @settings = RequestHeaders.told(@request, @settings)
        @instrumentation = Instrumentation.new(@settings, @request.http_method, @target)
        @course = Course.new(callbacks, @request, @settings, @server, @instrumentation)
      end

      # @return [Target]
      attr_reader :target

      # @return [String] without the client's request, which may hold secrets
      def inspect = "#<#{self.class} #{@target}>"

      # Has subscribers told of this event, too, from the request's start to the response's end.
      #
      # @param name [String]
      # @param payload [Hash]
      # @return [self]
      def alongside(name, payload)
        @instrumentation.alongside(name, payload)
        self
      end

      # Sends the request; blocks until its body has gone up, and where the server hands no socket
      # over, until the response's head is here.
      #
      # @return [Array(Integer, Hash, #each), nil] the answer; nil if the client gets it otherwise
      # @raise [RequestError] if the request cannot be sent as HTTP
      def call
        @instrumentation.start
        @instrumentation.sending(@request.fields)
        Thread.handle_interrupt(Object => :never) do
          @session = @course.session = Session.new(@request, @settings, @server)
        end
        given = answer
        done = true
        given
      rescue StandardError => e
        @instrumentation.failed(e, @session&.report) if ours?
        raise
      ensure
        give_up unless done
      end

      private

      def settings_of(options, headers)
        settings = options.except(:ignore_ssl_errors, :debug)
        settings[:verify_ssl] = false if options[:ignore_ssl_errors]
        settings[:log_verbosity] = :high if options[:debug]
        return settings if headers == :rack

        headers = checked(headers).reject { |name,| COMPUTED.include?(name.to_s.downcase) }
        settings[:headers] = headers.transform_keys(&:to_s) unless headers.empty?
        settings
      end

      def checked(headers)
        return headers if headers.is_a?(Hash)

        raise ConfigurationError, "headers: #{Configuration.redact(headers)} will not do; it " \
                                  "takes a Hash or :rack"
      end

      # Not if the exchange has left: the reporters tell.
      def ours? = @session.nil? || @session.close_unless_left

      def answer
        return answer_ordinarily unless Early.possible?(@settings, @server, @instrumentation)

        Early.new(@course, @session, @server, @settings, @instrumentation)
             .answer(outcome_by_now) { |client| @course.client = client }
        nil
      end

      # An error, or an answer that did not wait for the request's body.
      def outcome_by_now
        @session.take_place(@settings.max_streams)
        head = @session.head(until_uploaded: true)
        head && -> { head }
      rescue Error => e
        -> { raise e }
      end

      # A thread that was killed, or told of a timeout by what is no StandardError.
      def give_up
        @instrumentation.finish(nil, @session&.report, complete: false) if ours?
      end

      def answer_ordinarily
        client = RackClient.new(@session, @server, @instrumentation, @course.method(:tell_error))
        @course.client = client
        answer = attempt&.to_a || client.triplet
        @session.close unless answer.last.is_a?(Body)
        @server.finish(answer, @request.client_input)
      end

      def attempt
        @course.respond(@session.head)
      rescue StandardError, ScriptError => e
        @course.refuse(e)
      end
    end
  end
end
