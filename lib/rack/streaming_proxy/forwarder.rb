# frozen_string_literal: true

require_relative "delivery"
require_relative "early"
require_relative "error_response"
require_relative "instrumentation"
require_relative "local_answer"
require_relative "request_headers"
require_relative "tunnel"
require_relative "upgrade_field"

module Rack
  module StreamingProxy
    # Takes one request to its target and makes the answer, of the upstream's response or of what
    # went wrong. Made by {Proxy} for each proxied request.
    # @api private
    class Forwarder
      # @param target [Target]
      # @param rack_request [Rack::Request]
      # @param settings [Configuration]
      def initialize(target, rack_request, settings)
        @target = target
        @rack_request = rack_request
        @settings = settings
        @server = Server.for(rack_request.env)
        @instrumentation = Instrumentation.new(settings, rack_request.request_method, target)
      end

      # Blocks until the upstream's head is here.
      #
      # @return [Array(Integer, Hash, #each)]
      # @raise [HttpServerError] under `raise_on_5xx`
      # @raise [UpstreamError, RequestError] under `raise_on_error`
      # @raise [StandardError] what a callable of the application raises
      def call
        return refused_tunnel if @rack_request.request_method == "CONNECT"

        finished(answer)
      rescue UpstreamError, RequestError => e
        @server.close_connection if e.status == 400
        raise if @settings.raise_on_error

        finished(ErrorResponse.for(e, @rack_request.head?))
      rescue ClientGone => e
        [e.status, {}, []]
      end

      # @param head [Array] `[status, fields, length or nil, body?]`
      # @return [Response]
      # @raise [HttpServerError] under `raise_on_5xx`
      # @api private
      def respond(head)
        @instrumentation.head(head, @session.report)
        ExchangeFailure.refuse_5xx(head.first, @target) if @settings.raise_on_5xx
        Response.new(head, @session, @server, @instrumentation, on_complete: @settings.on_complete)
      end

      # What the application cannot be told any more, because it has answered, the client is.
      #
      # @param error [StandardError, ScriptError]
      # @return [Array(Integer, Hash, Array<String>), nil] nil if it has left
      # @api private
      def refuse(error)
        answer = ErrorResponse.for(error, @rack_request.head?) unless error.is_a?(ClientGone)
        status = answer ? answer.first : error.status
        @instrumentation.failed(error, @session.report, status:) if @session.close
        answer
      end

      private

      # What follows a CONNECT is meant for the tunnel.
      def refused_tunnel
        @server.close_connection
        LocalAnswer.method_not_allowed(@settings)
      end

      def answer
        @instrumentation.start
        @request = Request.new(@target, @rack_request, @server)
        @instrumentation.sending(@request.fields)
        answer = local_answer || exchange
      rescue StandardError => e
        @instrumentation.failed(e, @session&.report) if ours?
        raise
      ensure
        # A thread that was killed, or told of a timeout by what is no StandardError.
        give_up unless answer
      end

      def give_up
        @instrumentation.finish(nil, @session&.report, complete: false) if ours?
      end

      # Not in a process forked while the exchange was open: there it is not to be told of.
      def ours? = @session.nil? || @session.close_unless_left

      def local_answer
        LocalAnswer.to(@request, @settings)&.tap { |status,| @instrumentation.finish(status) }
      end

      def exchange
        Delivery.admit(@target, @server, @settings)
        @settings = RequestHeaders.told(@request, @settings)
        @request.upgrade = UpgradeField.asked(@request, @server, @settings, @instrumentation)
        early = early?
        @request.input.read_once if early
        open_session
        head = @session.head(until_uploaded: early) { |fields| early_hints(fields) }
        answer = head ? delivered(head) : hand_over
      ensure
        @session&.close_unless_left unless answer
      end

      # An upgrade waits for its 101 here.
      def early?
        !@request.upgrade && Early.possible?(@settings, @server, @instrumentation)
      end

      def delivered(head)
        response = respond(head)
        way = response.status == 101 ? Tunnel : Delivery
        way.new(response, @session, @server, @settings, @instrumentation).answer
      end

      def hand_over
        @session.take_place(@settings.max_streams)
        Early.new(self, @session, @server, @settings, @instrumentation).answer
      end

      # Hints are no part of the answer: what goes wrong with them changes nothing.
      def early_hints(fields)
        @server.early_hints&.call(RackHeaders.from(fields, nil))
      rescue StandardError => e
        @instrumentation.warn("rack.early_hints failed: #{e.class}: #{e.message}")
      end

      # A thread that is killed here must not lose an exchange that nobody closes. Nothing waits.
      def open_session
        Thread.handle_interrupt(Object => :never) do
          @session = Session.new(@request, @settings, @server)
        end
      end

      def finished(answer)
        @request ? @server.finish(answer, @request.input) : answer
      end
    end
  end
end
