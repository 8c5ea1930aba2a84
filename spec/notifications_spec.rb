# frozen_string_literal: true

require "active_support"
require "active_support/notifications"
require "active_support/subscriber"
require "active_support/log_subscriber"

# Thin's requests begin on another thread than they end.
RSpec.describe Rack::StreamingProxy::Notifications, "of a request that ends on another thread" do
  name = "request.streaming_proxy"

  # @return [Class] a new one, attached, which calls the block with an event
  attached = lambda { |base, logger = nil, &block|
    mine = Class.new(base) do
      define_method(:request, &block)
      define_method(:logger) { logger }
      def self.name = "Mine"
    end
    mine.attach_to(:streaming_proxy)
    mine
  }

  # How an example subscribes, and the seconds that it hears of: each gets an array to fill.
  subscribers = {
    "a block of five arguments" => lambda { |told|
      ActiveSupport::Notifications.subscribe(name) { |_, from, to, _, _| told << (to - from) }
    },
    "one that asks for a monotonic clock" => lambda { |told|
      ActiveSupport::Notifications.monotonic_subscribe(name) { |_, from, to| told << (to - from) }
    },
    "a block of one argument" => lambda { |told|
      ActiveSupport::Notifications.subscribe(name) { |event| told << (event.duration / 1000) }
    },
    "a subscriber to all events" => lambda { |told|
      ActiveSupport::Notifications.subscribe(nil) { |_, from, to, _, _| told << (to - from) }
    },
    "one with a start of its own" => lambda { |told|
      ActiveSupport::Notifications.subscribe(name, Class.new do
        define_method(:start) { |_, _, payload| payload[:began] = Deadline.now }
        define_method(:finish) { |_, _, payload| told << (Deadline.now - payload[:began]) }
      end.new)
    },
    "an ActiveSupport::Subscriber" => lambda { |told|
      attached.call(ActiveSupport::Subscriber) { |event| told << (event.duration / 1000) }
    },
    "a log subscriber" => lambda { |told|
      attached.call(ActiveSupport::LogSubscriber, Logger.new(nil)) do |event|
        told << (event.duration / 1000)
      end
    }
  }

  let(:logger) { InProcessCalls::RecordingLogger.new }
  let(:upstream) { serving { [200, {}, "text"] } }

  # @param subscriber [Object] what was subscribed, or the class of what was attached
  def subscribed(subscriber)
    keep(Struct.new(:subscriber) do
      def stop
        return subscriber.detach_from(:streaming_proxy) if subscriber.is_a?(Class)

        ActiveSupport::Notifications.unsubscribe(subscriber)
      end
    end.new(subscriber))
  end

  # @return [Float] seconds for which the request was under way at least
  def fetch_on_two_threads
    app = Rack::StreamingProxy::Proxy.new(InnerApp, logger:) { upstream.url }
    _, _, body = in_thread { app.call(env_for) }.value
    began = Deadline.now
    sleep 0.05 # What is measured has to last.
    lasted = Deadline.now - began
    in_thread { read(body) }.value
    lasted
  end

  subscribers.each do |kind, subscribe|
    it "tells #{kind} once, with the time that it took" do
      subscribed(subscribe.call(told = []))
      took = elapsed { @least = fetch_on_two_threads }
      expect(told).to match([be_between(@least, took)])
      expect(logger.lines.grep(/WARN/)).to eq([])
    end
  end

  it "tells all others when each of one kind raises" do
    kept = subscribers.each_value.map do |subscribe|
      broken = Object.new
      broken.define_singleton_method(:<<) { |_| raise KeyError, "mine" }
      subscribed(subscribe.call(broken))
      subscribed(subscribe.call(told = []))
      told
    end
    fetch_on_two_threads
    expect(kept.map(&:size)).to eq([1] * kept.size)
    expect(logger.lines.grep(/WARN .*a subscriber failed/).size).to eq(1)
  end

  it "writes no line of a log subscriber without a logger" do
    told = []
    subscribed(attached.call(ActiveSupport::LogSubscriber) { |event| told << event })
    fetch_on_two_threads
    expect(told).to eq([])
  end
end
