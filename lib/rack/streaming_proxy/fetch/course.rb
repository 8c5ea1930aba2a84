# frozen_string_literal: true

module Rack
  module StreamingProxy
    class Fetch
      # The course of one exchange through its callbacks: makes the answer of a head, or of what
      # went wrong, unless one of them has answered.
      # @api private
      class Course
        # @param callbacks [Callbacks]
        # @param request [Request] which, with its env, is not kept
        # @param settings [Configuration]
        # @param server [Server::Generic]
        # @param instrumentation [Instrumentation]
        def initialize(callbacks, request, settings, server, instrumentation)
          @callbacks = callbacks
          @target = request.target
          @bodiless = request.bodiless?
          @settings = settings
          @server = server
          @instrumentation = instrumentation
        end

        # @return [String] without the client's request, which may hold secrets
        def inspect = "#<#{self.class} #{@target}>"

        # @return [Session]
        attr_writer :session

        # @return [Delivery::HijackedClient, RackClient]
        attr_writer :client

        # The answer that a head gets.
        #
        # @param head [Array] `[status, fields, length or nil, body?]`
        # @return [StreamingProxy::Response, nil] nil if a callback has answered
        def respond(head)
          @instrumentation.head(head, @session.report)
          ExchangeFailure.refuse_5xx(head.first, @target) if @settings.raise_on_5xx
          @response = ClientResponse.new(head, @session)
          return taken_over if tell(:on_response) || tell(:on_headers)

          passed_on
        end

        # The answer that an error gets.
        #
        # @param error [StandardError, ScriptError]
        # @return [Array(Integer, Hash, Array<String>), nil] nil if a callback has answered
        def refuse(error)
          error = gone_within(error) || error
          stop_client(error)
          tell_error(error)
          answer = default_answer(error) unless responder.begun?
          status = answer ? answer.first : responder.status || (error.status if error.is_a?(Error))
          @instrumentation.failed(error, @session.report, status:) if @session.close
          answer
        end

        # For what breaks off behind its head. What on_error raises is logged.
        #
        # @param error [StandardError, ScriptError]
        def tell_error(error)
          @callbacks[:on_error]&.call(error, responder)
        rescue StandardError, ScriptError => e
          @client.close(cut: true) if @client.begun?
          @instrumentation.warn("on_error failed: #{e.class}: #{e.message}")
        end

        private

        def responder
          @responder ||= SocketResponder.new(@client, @bodiless)
        end

        # @return [Boolean] whether the callback has answered
        def tell(moment)
          @callbacks[moment]&.call(@response, responder)
          return true if responder.begun?

          refuse_read(moment) if @response.read?
          false
        end

        # The client would get what is left of it, which is to look whole.
        def refuse_read(moment)
          raise ResponseBodyAlreadyConsumedError,
                "#{moment} has read the body of the response from #{@target.origin}: to do so, " \
                "and to render one, is on_response's"
        end

        def taken_over
          status = responder.status
          return unless @session.close && !@client.streams?

          @instrumentation.finish(status, @session.report, complete: !status.nil?)
          nil
        end

        def passed_on
          head = @response.head(@bodiless)
          answer = StreamingProxy::Response.new(head, @session, @server, @instrumentation,
                                                on_complete: method(:complete))
          answer.on_error = method(:tell_error)
          # With the request's env, it is not to be kept for as long as the response lasts.
          @server = nil
          answer
        end

        def complete(response)
          @settings.on_complete&.call(response)
          @callbacks[:on_complete]&.call(@response)
        end

        # To a callback that reads the body, a client that has left is the body's end.
        #
        # @return [ClientGone, nil]
        def gone_within(error)
          error.cause if error.is_a?(BodyError) && error.cause.is_a?(ClientGone)
        end

        # What a callback has begun stays its only answer.
        def stop_client(error)
          begun = @client.begun?
          @client.close(cut: begun) if begun || error.is_a?(ClientGone)
        end

        # Who has a callback for errors and does not answer there gets rails-threaded-proxy's.
        def default_answer(error)
          return ErrorResponse.for(error, @bodiless) unless @callbacks[:on_error]

          type = ["content-type", "text/plain; charset=utf-8"]
          status, headers, body = ErrorResponse.text(500, ErrorResponse::REASONS.fetch(500), [type])
          [status, headers, @bodiless ? [] : body]
        end
      end
    end
  end
end
