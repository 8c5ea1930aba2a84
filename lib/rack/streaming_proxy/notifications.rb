# frozen_string_literal: true

require_relative "notifications/handle"

module Rack
  module StreamingProxy
    # What differs between versions of ActiveSupport::Notifications, which is told of events where
    # the application has loaded it. What a subscriber raises is raised here.
    # @api private
    module Notifications
      # @param name [String]
      # @return [Boolean] whether anybody has subscribed to it
      def self.listening?(name)
        loaded?(:Notifications) && ::ActiveSupport::Notifications.notifier.listening?(name)
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

      # Active Support registers what it has to be loaded when it is first named.
      #
      # @param constant [Symbol] of ActiveSupport
      # @return [Boolean]
      def self.loaded?(constant)
        defined?(::ActiveSupport) && ::ActiveSupport.const_defined?(constant, false) &&
          !::ActiveSupport.autoload?(constant)
      end
    end
  end
end
