# frozen_string_literal: true

require_relative "event_recorder"

# For examples of the events of ActiveSupport::Notifications: what they call and what is recorded.
module InstrumentedCalls
  def self.included(group)
    group.class_eval do
      let(:logger) { InProcessCalls::RecordingLogger.new }
      let(:upstream) { serving { |request| [200, {}, "12345#{request.body}"] } }
      let!(:requests) { record("request.streaming_proxy") }
      let!(:errors) { record("error.streaming_proxy") }
      let!(:retries) { record("retry.streaming_proxy") }
    end
  end

  def record(pattern)
    keep(EventRecorder.new(pattern))
  end

  def subscribe(name, callable = nil, &block)
    subscriber = ActiveSupport::Notifications.subscribe(name, callable, &block)
    keep(Struct.new(:subscriber) do
      def stop = ActiveSupport::Notifications.unsubscribe(subscriber)
    end.new(subscriber))
  end

  def proxy(url = upstream.url("/path"), **settings)
    described_class.new(InnerApp, logger:, **settings) { url }
  end

  # The only event of its kind, with what it holds.
  def payload
    expect(requests.events.size).to eq(1)
    requests.payloads.first
  end

  # An upstream that sends a head and some of a body, and then nothing.
  def silent_upstream
    start_upstream do |connection|
      connection.read_head
      connection.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
      connection.wait_for_end(within: 20)
    end
  end

  def cutting_upstream
    start_upstream do |connection|
      connection.read_head
      connection.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
    end
  end
end
