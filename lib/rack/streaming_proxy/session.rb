# frozen_string_literal: true

require "ipaddr"
require_relative "session/upload"

module Rack
  module StreamingProxy
    # One exchange with an upstream: feeds the upload, waits, reads. It waits on the exchange's bell
    # alone: the GVL is free, and Thread#kill, Thread#raise, Timeout and a Fiber scheduler work as
    # in any Ruby wait. Only a server's input may wait besides, for the client's next bytes.
    class Session
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
        @bell = IO.for_fd(@exchange.bell, autoclose: false)
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

      # Has {Reporters} told, by `id`, when {#head_by_now} is to be asked again; and watches for the
      # client's leaving. `close` belongs to the reporters from there.
      #
      # @param id [Integer]
      # @param socket [IO] the client's
      # @raise [ClientGone] if the socket is closed
      def notify(id, socket)
        watch_client(socket)
        @left = true
        @exchange.notify(id)
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

      # Takes one of the places for responses that the engine writes; `close` gives it back.
      #
      # @param most [Integer, nil] places that there are; nil: as many as are asked for
      # @raise [Overloaded] if none is left, or no descriptor
      def take_place(most)
        checked(@exchange.take_place(most, @upstream))
      end

      # Has the engine write the response to the client. Nothing is to be read afterwards; `close`
      # belongs to the report.
      #
      # @param socket [IO] the client's, of which the engine takes a duplicate
      # @param head [String] to be written first
      # @param framing [Symbol] `:length`, `:chunks` or `:end`
      # @param settings [Configuration]
      # @param id [Integer] for {Reporters}
      # @return [Boolean] false if that cannot be, because it is no socket of the system's, or its
      #   client has left: then nothing has happened
      def deliver(socket, head, framing, settings, id)
        limits = [*settings.delivery_limits, settings.min_send_rate]
        delivery = [head, framing, *limits, @upstream]
        handed_over(socket) { |descriptor| @exchange.deliver(descriptor, delivery, id) }
      end

      # Has the engine pass bytes on between the client and an upstream that has changed protocols.
      #
      # @param socket [IO] the client's, of which the engine takes a duplicate
      # @param head [String] to be written first
      # @param early [String] what the client has sent behind its request
      # @param idle_timeout [Numeric, nil] seconds
      # @param id [Integer] for {Reporters}
      # @return [Boolean] false if that cannot be, as with {#deliver}
      def tunnel(socket, head, early, idle_timeout, id)
        tunnel = [head, early, idle_timeout&.to_f, @upstream]
        handed_over(socket) { |descriptor| @exchange.tunnel(descriptor, tunnel, id) }
      end

      # @return [Array] `[attempts, bytes_up, bytes_down]`
      def report
        @exchange.report
      end

      # @return [Array<Array(String, String)>] of a response whose body has ended
      def trailers
        @exchange.trailers
      end

      # Ends the exchange; the upstream's connection is shut down if it is still in use. Idempotent.
      #
      # @return [Boolean] false in a process forked from the one that opened it: it is not ours
      def close
        return @ours if @closed

        @closed = true
        # A thread that is killed in between would lose the bell's descriptor. Nothing waits.
        Thread.handle_interrupt(Object => :never) do
          @ours = @exchange.close
          close_bell unless @released
          @ours
        end
      end

      # The same for the thread that opened it, which may be interrupted at any moment: what has
      # left is the reporters' to close.
      #
      # @return [Boolean] whether it is this thread's to tell of
      def close_unless_left = !@left && close

      private

      # The request, with its env, is not to be kept for as long as the engine goes on.
      def handed_over(socket)
        return false unless socket.is_a?(::BasicSocket) && yield(socket.fileno)

        close_bell
        @server = @upload = nil
        @left = true
      rescue IOError
        false # The server has closed it.
      end

      # The native side has released it.
      def close_bell
        @bell.autoclose = true
        @released = true
        @bell.close unless @scheduler
      end

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
        return listen(poll_interval) if @watched
        return if listen(SILENCE)

        watch_client
      end

      # A thread that waits is woken by closing the bell, with an IOError. A fiber is not, for its
      # scheduler has lost the descriptor: it hears the last ring, and closes the bell itself. Who
      # hears that ring before the descriptor is Ruby's must leave it to `close`.
      def listen(seconds)
        @scheduler = Fiber.scheduler unless Fiber.current.blocking?
        rang = @bell.wait_readable(seconds)
        raise IOError, "closed by another thread or fiber" if @closed

        rang
      ensure
        @scheduler = nil
        @bell.close if @released
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
