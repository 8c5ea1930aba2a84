# frozen_string_literal: true

require_relative "buffering"
require_relative "framing"
require_relative "reloading"

module Rack
  module StreamingProxy
    # The body of a Rack response: yields the upstream's bytes as they come, once. `close` may come
    # at any moment, also without `each`, and frees the upstream's connection.
    class Body
      # @param session [Session]
      # @param server [Server::Generic]
      # @param instrumentation [Instrumentation]
      # @param response [Response]
      # @param framed [Boolean] whether chunked framing is ours to write
      def initialize(session, server, instrumentation, response, framed)
        @session = session
        @server = server
        @instrumentation = instrumentation
        @response = response
        @framed = framed
        # Taken by whoever closes first, of several threads too.
        @open = [true]
      end

      # Yields the body; may block between chunks.
      #
      # @yieldparam chunk [String] binary, at most 256 KiB and its framing
      # @raise [BodyError] if the upstream's response was cut short
      def each(&block)
        raise BodyError, "the body is closed" if @open.empty?

        Buffering.notice(@response, @instrumentation)
        Reloading.permit { pass_on(&block) }
        @whole = true
      rescue BodyError => e
        # Who closes the body meanwhile, in another thread, is not told of a failure.
        @failure = e unless @open.empty?
        @server.abort_response(@response.length)
        raise
      ensure
        # A killed thread may never come to close.
        close unless @whole
      end

      # For what is written here, and not by the server: has what is yielded in chunks, or not.
      #
      # @param framing [Symbol] `:length`, `:chunks` or `:end`
      def framing=(framing)
        @framed = framing == :chunks
      end

      # Has the engine write the body to the client's socket; `close` then does nothing.
      #
      # @param socket [IO] the client's
      # @param head [String] to be written first
      # @param framing [Symbol] `:length`, `:chunks` or `:end`
      # @param settings [Configuration]
      # @return [Boolean] false if that cannot be: nothing has happened then
      def deliver(socket, head, framing, settings)
        # A thread that is killed in between would leave an exchange that nobody closes.
        Thread.handle_interrupt(Object => :never) do
          @open.shift ? hand_over(socket, head, framing, settings) : false
        end
      end

      # Ends the exchange, because the body cannot be delivered, and says why.
      #
      # @param reason [String]
      def refuse(reason)
        @instrumentation.warn(reason)
        close
      end

      # Ends the exchange; never raises. Idempotent. In a process forked from the one that opened
      # it, nothing happens.
      def close
        finish if @open.shift && @session.close
      end

      # @return [Boolean] whether it is closed, or the engine's to close
      # @api private
      def closed? = @open.empty?

      private

      def hand_over(socket, head, framing, settings)
        done = @session.deliver(socket, head, framing, settings) { |failure| delivered(failure) }
        let_go if done
        done
      ensure
        @open.push(true) unless done
      end

      # The request, with its env, is not to be kept for as long as the response lasts.
      def let_go
        @server = nil
        @response.let_go
      end

      # On a thread of the reporters'.
      def delivered(failure)
        @instrumentation.written_by_engine
        @whole = failure.nil?
        @failure = ExchangeFailure.in_body(failure) if failure
        finish if @session.close
      end

      def pass_on
        while (chunk = @session.read)
          yield @framed ? Framing.chunk(chunk) : chunk
        end
        yield Framing::LAST_CHUNK if @framed
      end

      # The last thing that is done, also where a callable ends its thread.
      def finish
        @response.complete if @whole
        @response.cut_short(@failure) if @failure
      ensure
        tell(@response.status, @session.report)
      end

      def tell(status, report)
        return @instrumentation.failed(@failure, report, status:) if @failure

        @instrumentation.finish(status, report, complete: @whole || false)
      end
    end
  end
end
