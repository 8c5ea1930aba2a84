# frozen_string_literal: true

module Rack
  module StreamingProxy
    # An exchange that leaves the application's thread before its response's head is here, with the
    # client's socket: a full hijack. From there the threads of {Reporters} take it to its answer,
    # which its owner makes; none of them waits for it.
    # @api private
    class Early
      # @param settings [Configuration]
      # @param server [Server::Generic]
      # @param log [#warn]
      # @return [Boolean] whether that is wanted, and can be
      def self.possible?(settings, server, log)
        return false unless settings.delivery == :early
        return true if server.full_hijack?

        Delivery.notice(server, log) unless server.partial_hijack?
        false
      end

      # @param owner [#respond, #refuse] makes the answer of a head, or of what went wrong: a
      #   {Response}, Rack's triplet, or nil if it has answered by itself
      # @param session [Session] whose upload is done
      # @param server [Server::Generic]
      # @param settings [Configuration]
      # @param instrumentation [Instrumentation]
      def initialize(owner, session, server, settings, instrumentation)
        @owner = owner
        @session = session
        @server = server
        @settings = settings
        @instrumentation = instrumentation
        @turn = Mutex.new
      end

      # @return [String] without the client's request, which may hold secrets
      def inspect = "#<#{self.class}>"

      # Takes the client's socket from the server, and leaves the rest to others. What has no socket
      # of the system's, as in tests, gets its answer here.
      #
      # @param outcome [#call, nil] what gives or raises the outcome that is known already
      # @yieldparam client [Delivery::HijackedClient]
      # @return [Array(Integer, Hash, Array)] for the server
      def answer(outcome = nil, &told)
        # Who is killed in between would lose a socket that nobody closes. Nothing waits.
        Thread.handle_interrupt(Object => :never) do
          take_socket(told)
          outcome ||= leave if @client.engine?
        end
        conclude { outcome ? outcome.call : @session.head } unless @id
        [200, {}, []]
      ensure
        # From `leave` on others have it.
        @client&.close unless @id
      end

      private

      # What the client still sends of an upload somebody has to read: then the engine has no part.
      def take_socket(told)
        socket, = @server.hijack
        engine = @session.uploaded?
        socket = @server.detach(socket) if engine
        @client = Delivery::HijackedClient.new(socket, @server, @settings, engine:, waits: false)
        told&.call(@client)
      end

      # @return [Proc, nil] raises why it could not: then nothing has left
      def leave
        @id = Reporters.expect(@settings, cut: method(:cut)) { step }
        @session.notify(@id, @client.socket)
        nil
      rescue StandardError => e
        Reporters.forget(@id) if @id
        @id = nil
        -> { raise e }
      end

      # Called whenever there may be news.
      def step
        @instrumentation.delivery = :early
        outcome = @turn.synchronize { look unless @over }
        conclude(&outcome) if outcome
      end

      def ended_by_process
        ShutdownError.new("the process ended before the response's head (drain_timeout)",
                          upstream: @session.upstream, phase: :head)
      end

      # @return [Proc, nil] gives or raises the outcome, if there is one
      def look
        # What the exchange has said at its end may be lost with it.
        raise ended_by_process if @cut

        head = @session.head_by_now
        @over = !head.nil?
        @session.notify(@id, @client.socket) unless head
        looked = true
        head && -> { head }
      rescue StandardError, ScriptError => e
        @over = looked = true
        # An exchange that is closed amid the look fails in another way.
        error = @cut ? ended_by_process : e
        -> { raise error }
      ensure
        # A callable of the application's has ended the thread.
        leave_nothing unless looked
      end

      # On a thread of the reporters'.
      def conclude
        give(@owner.respond(yield).to_a)
        whole = true
      rescue StandardError, ScriptError => e
        # An interrupt behind the answer, which has been told of, or will be at its end.
        raise if given?

        give(@owner.refuse(e).to_a)
        whole = true
      ensure
        leave_nothing(cut: !whole && !given? && @client.begun?)
      end

      def given? = @given && (@body ? @body.closed? : @client.closed?)

      # What has gone well has ended already.
      def leave_nothing(cut: false)
        @over = true
        @client.close(cut:)
        @body ? @body.close : give_up
        # Last, so that a process that ends has waited for it.
        Reporters.forget(@id) if @id
      end

      def give_up
        @instrumentation.finish(nil, @session.report, complete: false) if @session.close
      end

      # The process ends: a thread of the reporters' hears that the exchange has.
      #
      # @return [Boolean] false if the head, or an error, has come before
      def cut
        return false if @over

        @cut = true
        @session.close
        true
      end

      # @param answer [Array] empty if the client has got one, or has left
      def give(answer)
        @body = (answer.last if answer.last.is_a?(Body))
        @given = !answer.empty?
        @client.answer(answer) if @given
      end
    end
  end
end
