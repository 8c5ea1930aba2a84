# frozen_string_literal: true

require_relative "error_response"
require_relative "local_answer"

module Rack
  module StreamingProxy
    # Takes one request to its target and makes the answer, of the upstream's response or of what
    # went wrong. Made by {Proxy} for each proxied request.
    # @api private
    class Forwarder
      NOTHING = [[], 0, 0].freeze
      private_constant :NOTHING

      # @param target [Target]
      # @param rack_request [Rack::Request]
      # @param settings [Configuration]
      def initialize(target, rack_request, settings)
        @target = target
        @rack_request = rack_request
        @settings = settings
        @server = Server.for(rack_request.env)
        @log = Log.new(settings, "#{rack_request.request_method} #{target}")
      end

      # Blocks until the upstream's head is here.
      #
      # @return [Array(Integer, Hash, #each)]
      # @raise [HttpServerError] under `raise_on_5xx`
      # @raise [UpstreamError, RequestError] under `raise_on_error`
      def call
        return refused_tunnel if @rack_request.request_method == "CONNECT"

        finished(answer)
      rescue UpstreamError, RequestError => e
        @server.hang_up if e.status == 400
        raise if @settings.raise_on_error

        finished(ErrorResponse.for(e, @rack_request))
      rescue ClientGone => e
        [e.status, {}, []]
      end

      private

      # What follows a CONNECT is meant for the tunnel.
      def refused_tunnel
        @server.hang_up
        LocalAnswer.method_not_allowed(@settings)
      end

      def answer
        @request = Request.new(@target, @rack_request, @server)
        @log.start(@request.fields)
        local = LocalAnswer.to(@request, @settings) or return exchange

        @log.finish(local.first, NOTHING)
        local
      rescue Error => e
        @log.failed(e, e.status, @session&.report || NOTHING)
        raise
      end

      def exchange
        open_session
        head = @session.head { |fields| early_hints(fields) }
        @log.head(head, @session.report)
        refuse_5xx(head.first)
        response = Response.new(head, @session, @server, @log,
                                on_complete: @settings.on_complete).to_a
      ensure
        @session&.close unless response
      end

      # Hints are no part of the answer: what goes wrong with them changes nothing.
      def early_hints(fields)
        @server.early_hints&.call(RackHeaders.from(fields, nil))
      rescue StandardError => e
        @log.warn("rack.early_hints failed: #{e.class}: #{e.message}")
      end

      # A thread that is killed here must not lose an exchange that nobody closes. Nothing waits.
      def open_session
        Thread.handle_interrupt(Object => :never) do
          @session = Session.new(@request, @settings, @server)
        end
      end

      def refuse_5xx(status)
        return unless @settings.raise_on_5xx && (500..599).cover?(status)

        facts = { status:, url: @target.to_s, upstream: @target.origin, phase: :head }
        message = "upstream #{@target.origin} answered #{status} (#{@target})"
        raise HttpServerError.new(message, **facts)
      end

      def finished(answer)
        @request ? @server.finish(answer, @request.input) : answer
      end
    end
  end
end
