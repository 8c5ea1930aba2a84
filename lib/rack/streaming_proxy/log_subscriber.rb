# frozen_string_literal: true

require "active_support"
require "active_support/log_subscriber"

module Rack
  module StreamingProxy
    # Writes the lines about a request's end and its retries, to the logger that the setting
    # `logger` gives. Rails has it attached; elsewhere, once it is attached, the proxy leaves these
    # lines to it. Detach it, or attach a subclass, to have other lines.
    #
    # @example
    #   require "rack/streaming_proxy/log_subscriber"
    #   Rack::StreamingProxy::LogSubscriber.attach_to :streaming_proxy
    class LogSubscriber < ::ActiveSupport::LogSubscriber
      # @return [Boolean] whether one of this class or a subclass writes the lines
      # @api private
      def self.attached? = log_subscribers.any?(self)

      # As ActiveSupport::Subscriber.attach_to; but a subclass writes the lines that it does not
      # change, too.
      #
      # @param namespace [Symbol] `:streaming_proxy`
      # @param inherit_all [Boolean]
      def self.attach_to(namespace, *subscriber, inherit_all: true, **)
        super
      end

      # @param event [ActiveSupport::Notifications::Event] `request.streaming_proxy`
      def request(event)
        Log.new(event.payload[:logger]).finished(event.payload, event.duration / 1000)
      end

      # @param event [ActiveSupport::Notifications::Event] `retry.streaming_proxy`
      def retry(event)
        Log.new(event.payload[:logger]).retrying(event.payload)
      end

      # @return [Object] never nil, for without one Active Support calls no log subscriber
      def logger = Proxy.logger
    end
  end
end
