# frozen_string_literal: true

module Rack
  module StreamingProxy
    # What differs between versions of ActiveSupport::Notifications, which is told of events where
    # the application has loaded it. What a subscriber raises is raised here.
    # @api private
    module Notifications
      # What Active Support 7.1 calls a handle, for older ones: who has heard of the start hears of
      # the end, whatever was subscribed in between, and one that raises does not hinder the others.
      # Their clocks are a stack for each thread: events that begin and end around each other
      # without enclosing one another swap their starts there, as Rails' own do.
      class Handle
        # @param notifier [ActiveSupport::Notifications::Fanout]
        # @param event [Array(String, String, Hash)] name, transaction and payload
        def initialize(notifier, *event)
          @listeners = notifier.listeners_for(event.first)
          @event = event
        end

        # Tells that the event begins.
        def start = tell { |listener| listener.start(*@event) }

        # Tells that it has ended.
        def finish = tell { |listener| listener.finish(*@event) }

        private

        def tell
          raised = @listeners.filter_map do |listener|
            yield listener
            nil
          rescue StandardError => e
            e
          end
          raise raised.first unless raised.empty?
        end
      end

      # @param name [String]
      # @return [Boolean] whether anybody has subscribed to it
      def self.listening?(name)
        loaded? && ::ActiveSupport::Notifications.notifier.listening?(name)
      end

      # @param name [String]
      # @param payload [Hash] which may be filled until the end
      # @return [#start, #finish, nil] each to be called once; nil when nobody would hear of it
      def self.handle(name, payload)
        return unless listening?(name)

        instrumenter = ::ActiveSupport::Notifications.instrumenter
        return instrumenter.build_handle(name, payload) if instrumenter.respond_to?(:build_handle)

        Handle.new(::ActiveSupport::Notifications.notifier, name, instrumenter.id, payload)
      end

      # Tells of what takes no time.
      #
      # @param name [String]
      # @param payload [Hash]
      def self.publish(name, payload)
        ::ActiveSupport::Notifications.instrument(name, payload) if listening?(name)
      end

      # Active Support registers it to be loaded when it is first named.
      def self.loaded?
        defined?(::ActiveSupport::Notifications) && !::ActiveSupport.autoload?(:Notifications)
      end
      private_class_method :loaded?
    end
  end
end
