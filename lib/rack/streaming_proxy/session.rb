# frozen_string_literal: true

require "ipaddr"
require_relative "session/bell"
require_relative "session/hand_over"
require_relative "session/upload"

module Rack
  module StreamingProxy
    # One exchange with an upstream: feeds the upload, waits, reads. It waits on the exchange's bell
    # alone: the GVL is free, and Thread#kill, Thread#raise, Timeout and a Fiber scheduler work as
    # in any Ruby wait. Only a server's input may wait besides, for the client's next bytes.
    class Session
      include HandOver

      # Bytes that one crossing of the border brings at most.
      CHUNK = 256 * 1024
      # Seconds of silence after which the client's socket is watched for its leaving.
      SILENCE = 0.25
      HINTS = ->(event) { event.first == :early_hints }
      QUESTION = ->(event) { event.first == :permit }
      private_constant :CHUNK, :SILENCE, :HINTS, :QUESTION

      # @return [String] `scheme://host:port`
      attr_reader :upstream

      # @param request [Request]
      # @param settings [Configuration]
      # @param server [Server::Generic]
      # @raise [RequestError] if the request cannot be sent as HTTP
      # @raise [RequestBodyTooLarge] if its body is known to be too long
      def initialize(request, settings, server)
        @server = server
        @upstream = request.target.origin
        @upload = Upload.new(request.input, server, @upstream)
        @upload.limit_to(settings.max_request_body)
        @allow = settings.allow_destinations
        @exchange = @upload.exchange = opened(request, settings)
        @bell = Bell.new(@exchange.bell)
        @pid = Process.pid
        # Taken by whoever closes first, of several threads too.
        @open = [true]
      end

      # Waits for the response's head; may block. Answers what the engine asks before it; what a
      # callable of the application raises is the application's.
      #
      # @param until_uploaded [Boolean] whether to wait no longer than the upload takes
      # @yieldparam fields [Array<Array(String, String)>] of a 103, before the head
      # @return [Array, nil] `[status, fields, length or nil, body?]`; nil if the upload is done
      #   before it has come
      # @raise [UpstreamError, RequestError, ClientGone]
      def head(until_uploaded: false, &hints)
        loop do
          event = ready(until_uploaded:) { @exchange.head } or return
          head = heard(event, &hints)
          return head if head
        end
      end

      # The response's head, if it is here; hints before it are dropped. For {Early}, on whatever
      # thread, one at a time.
      #
      # @return [Array, nil]
      # @raise [UpstreamError, RequestError, ClientGone]
      def head_by_now
        loop do
          event = checked(@exchange.head)
          return if event == :again

          head = heard(event)
          return head if head
        end
      end

      # Waits for the next bytes of the response's body; may block.
      #
      # @return [String, nil] binary; nil at the end
      # @raise [BodyError] if the body was cut short
      def read
        ready { @exchange.read(CHUNK) }
      rescue Error => e
        ExchangeFailure.raise_in_body(e)
      rescue SystemCallError, IOError => e
        raise BodyError, "the exchange broke off: #{e.message}"
      end

      # @return [Boolean] whether all of the response's body is here
      def whole? = @exchange.whole?

      # @return [Boolean] whether all of the request's body has been taken from the client
      def uploaded? = @upload.done?

      # @return [Array] `[attempts, bytes_up, bytes_down]`
      def report
        @exchange.report
      end

      # @return [Array<Array(String, String)>] of a response whose body has ended
      def trailers
        @exchange.trailers
      end

      private

      def opened(request, settings)
        exchange = request.open(settings)
        exchange.is_a?(Array) ? ExchangeFailure.raise_from(exchange) : exchange
      end

      # After the head nobody can be asked any more: what the client sends all the same goes up.
      def answered(head)
        @answered = true
        @upload.answered
        watch_client if @server.may_skip_close?
        head
      end

      # @return [Array, nil] the head, if that is what has come
      def heard(event)
        case event
        when :rewind then @upload.rewind
        when :continue then @upload.proceed
        when QUESTION then permit(*event.drop(1))
        when HINTS then yield event.last if block_given?
        else return answered(event)
        end
        nil
      end

      def permit(host, addresses)
        @exchange.permit(addresses.map { |address| @allow.call(host, ::IPAddr.new(address)) })
      end

      # Polls, and while there is nothing, feeds the upload or waits for the bell.
      def ready(until_uploaded: false)
        loop do
          return if until_uploaded && uploaded?

          poll_interval = @server.poll_interval
          result = yield
          return checked(result) unless result == :again

          @upload.feed || wait(poll_interval)
        end
      end

      def checked(result)
        result.is_a?(Array) && result.first == :failed ? ExchangeFailure.raise_from(result) : result
      end

      # @param poll_interval [Integer, nil] seconds
      def wait(poll_interval)
        # Before the head the server has been given nothing that it could hold back.
        @server.flush if @answered
        return @bell.wait(poll_interval) if @watched
        return if @bell.wait(SILENCE)

        watch_client
      end

      def watch_client(socket = @server.client_socket)
        return if @watched

        @watched = true
        @exchange.watch(socket.fileno) if socket
      rescue IOError
        raise ClientGone.new("the client left before the response's end",
                             upstream: @upstream, phase: @answered ? :body : :head)
      end
    end
  end
end
