# frozen_string_literal: true

require "active_support"
require "active_support/notifications"

# Subscribes to events of ActiveSupport::Notifications and keeps them.
class EventRecorder
  attr_reader :events

  # @param pattern [String, Regexp, nil]
  def initialize(pattern)
    @events = []
    @subscriber = ActiveSupport::Notifications.subscribe(pattern) { |event| @events << event }
  end

  def payloads
    events.map(&:payload)
  end

  def stop
    ActiveSupport::Notifications.unsubscribe(@subscriber)
  end
end
