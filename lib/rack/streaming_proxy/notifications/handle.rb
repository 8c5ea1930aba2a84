# frozen_string_literal: true

module Rack
  module StreamingProxy
    module Notifications
      # What Active Support 7.1 calls a handle, for 6.1 and 7.0: who was subscribed at the start
      # hears of the end, and one that raises does not hinder the others. Their own clocks are a
      # stack for each thread, but a body may end on another one: its times are kept here, and told
      # at its end. Only who has a `start` of its own, as OpenTelemetry's, hears of it before.
      class Handle
        # @param notifier [ActiveSupport::Notifications::Fanout]
        # @param name [String]
        # @param id [String] of the transaction
        # @param payload [Hash]
        def initialize(notifier, name, id, payload)
          @listeners = notifier.listeners_for(name).map { |listener| unwrapped(listener) }
          @name = name
          @id = id
          @payload = payload
        end

        # Tells that the event begins.
        def start
          @started = clocks
          tell { |listener| listener.start(@name, @id, @payload) if times_itself?(listener) }
        end

        # Tells that it has ended.
        def finish
          @wall, @monotonic = @started.zip(clocks)
          tell do |listener|
            next deliver(listener) unless times_itself?(listener)

            listener.finish(@name, @id, @payload)
          end
        end

        private

        def clocks = [Time.now, Process.clock_gettime(Process::CLOCK_MONOTONIC)]

        def kinds = ::ActiveSupport::Notifications::Fanout::Subscribers

        # Active Support 6.1 wraps those of all events.
        def unwrapped(listener)
          listener.is_a?(kinds::Evented) ? listener : delegate(listener)
        end

        def delegate(listener) = listener.instance_variable_get(:@delegate)

        def times_itself?(listener)
          listener.instance_of?(kinds::Evented) && !loaded?(:Subscriber, delegate(listener))
        end

        def tell
          raised = @listeners.filter_map do |listener|
            yield listener
            nil
          rescue StandardError => e
            e
          end
          raise raised.first unless raised.empty?
        end

        def deliver(listener)
          case listener
          when kinds::Timed then listener.publish(@name, *@wall, @id, @payload)
          when kinds::MonotonicTimed then listener.publish(@name, *@monotonic, @id, @payload)
          when kinds::EventObject then delegate(listener).call(event)
          else hand_over(delegate(listener))
          end
        end

        def event
          ::ActiveSupport::Notifications::Event.new(@name, *@monotonic, @id, @payload)
        end

        # As ActiveSupport::Subscriber#finish does it.
        def hand_over(subscriber)
          return if loaded?(:LogSubscriber, subscriber) && !subscriber.logger

          subscriber.public_send(@name.split(".").first, event)
        end

        # @return [Boolean] whether it is one of a class that Active Support may not have loaded
        def loaded?(name, object)
          Notifications.loaded?(name) && object.is_a?(::ActiveSupport.const_get(name))
        end
      end
    end
  end
end
