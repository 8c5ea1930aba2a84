# frozen_string_literal: true

require_relative "notice"
require_relative "reporters"
require_relative "delivery/hijacked_client"
require_relative "delivery/partial"
require_relative "delivery/raw_response"

module Rack
  module StreamingProxy
    # How a response gets to its client: yielded to the server, which writes it in the application's
    # thread, or written by the engine, to the client's socket that a `rack.hijack` hands over.
    # @api private
    class Delivery
      # @param response [Response]
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

      # @return [Array(Integer, Hash, #each)] for the server
      # @raise [Overloaded] if it could be delivered, but no place is left
      def answer
        return @response.to_a if ordinary? || !leaves?

        @session.take_place(@settings.max_streams)
        @server.partial_hijack? ? partial : full
      end

      # Under `:hijack` nobody is asked for a response that could not be delivered.
      #
      # @param target [Target]
      # @param server [Server::Generic]
      # @param settings [Configuration]
      # @raise [Overloaded] if no place is left
      def self.admit(target, server, settings)
        most = settings.max_streams
        return unless most && %i[hijack early].include?(settings.delivery) && hijacks?(server)
        return if Native::Client.stats[:streams] < most

        message = "upstream #{target.origin} was not asked: #{most} responses are delivered " \
                  "(max_streams)"
        raise Overloaded.new(message, upstream: target.origin, phase: :connect)
      end

      # @param server [Server::Generic]
      # @return [Boolean] whether the client's socket can be had
      def self.hijacks?(server) = server.partial_hijack? || server.full_hijack?

      # Says once in each process that this server cannot hand a socket over.
      #
      # @param server [Server::Generic]
      # @param log [#warn]
      def self.notice(server, log)
        Notice.once(:delivery, log) do
          "delivery: #{server.unhijackable}; responses are written in the application's threads"
        end
      end

      private

      # Nobody else goes on with an upload.
      def ordinary?
        @settings.delivery == :body || !@response.body? || small? || replaceable? ||
          !@session.uploaded?
      end

      # A full hijack, which loses what middleware outside adds, is for whoever asks for it.
      def leaves?
        return true if @server.partial_hijack?

        full = @server.full_hijack?
        Delivery.notice(@server, @instrumentation) unless full
        full && @settings.delivery == :hijack
      end

      # Such a response goes the ordinary way under `:auto`: its client may keep the connection.
      def small?
        length = @response.length
        @settings.delivery == :auto && length && length <= @settings.auto_hijack_above &&
          @session.whole?
      end

      # A 304 that a middleware outside makes of it would have the hijack all the same.
      def replaceable? = @server.conditional? && @response.validator?

      # What outer middleware adds to the headers is sent with them.
      def partial
        @server.prepare_partial_hijack
        framing = Framing.of(@response.length, @server)
        Partial.new(@response.to_a, framing, @server, @settings).answer
      end

      # The head, too, is ours to write: of what outer middleware adds nothing is sent.
      def full
        answer = @response.to_a
        client = nil
        # Who is killed in between would lose a socket that nobody closes. Nothing waits.
        Thread.handle_interrupt(Object => :never) do
          socket, = @server.hijack
          client = HijackedClient.new(socket, @server, @settings)
        end
        client.answer(answer)
        [200, {}, []]
      ensure
        client&.close
      end
    end
  end
end
