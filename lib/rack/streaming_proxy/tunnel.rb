# frozen_string_literal: true

require_relative "delivery/hijacked_client"
require_relative "delivery/raw_response"
require_relative "error_response"
require_relative "reporters"

module Rack
  module StreamingProxy
    # The answer to a request whose upstream has changed protocols (RFC 9110 section 7.8): the
    # client's connection goes to the engine, which writes the 101 and passes bytes on in both
    # directions. Ruby hears of its end.
    # @api private
    class Tunnel
      # @param response [Response] the 101
      # @param session [Session]
      # @param server [Server::Generic]
      # @param settings [Configuration]
      # @param instrumentation [Instrumentation]
      def initialize(response, session, server, settings, instrumentation)
        @response = response
        @session = session
        @server = server
        @settings = settings
        @instrumentation = instrumentation
      end

      # @return [Array(Integer, Hash, #each)] for the server, which does nothing with it
      # @raise [Overloaded] if no place is left
      def answer
        @session.take_place(@settings.max_streams)
        socket = early = nil
        # Who is killed in between would lose a socket that nobody closes. Nothing waits.
        Thread.handle_interrupt(Object => :never) { socket, early = @server.hijack }
        hand_over(socket, early) || refuse(socket)
        [200, {}, []]
      ensure
        # The engine has a duplicate: only its end is to end the connection.
        socket&.close
      end

      private

      def hand_over(socket, early)
        head = Delivery::RawResponse.head(@response.status, @response.headers)
        done = @session.tunnel(socket, head, early, @settings) { |failure| ended(failure) }
        let_go if done
        done
      end

      # The request, with its env, is not to be kept for as long as the tunnel lasts.
      def let_go
        @server = nil
        @response.let_go
      end

      # On a thread of the reporters'.
      def ended(failure)
        finish(failure) if @session.close
      end

      # The last thing that is done, also where on_complete ends its thread.
      def finish(failure)
        @instrumentation.delivery = :tunnel
        @response.complete unless failure
      ensure
        tell(failure)
      end

      def tell(failure)
        error = ExchangeFailure.in_body(failure) if failure
        return @instrumentation.failed(error, @session.report, status: 101) if error

        @instrumentation.finish(101, @session.report)
      end

      # What the server has is no socket of the system's, or the client has gone.
      def refuse(socket)
        @session.close
        @instrumentation.warn("the connection of a client that upgrades cannot be had: it is " \
                              "closed, or no socket of the system's")
        return @instrumentation.finish(nil, @session.report, complete: false) if socket.closed?

        answer = ErrorResponse.plain(503, ErrorResponse::RETRY_LATER)
        Delivery::HijackedClient.new(socket, @server, @settings).answer(answer)
        @instrumentation.finish(answer.first, @session.report)
      end
    end
  end
end
