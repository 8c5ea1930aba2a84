# frozen_string_literal: true

require "json"

# What subscribers of two kinds and the log subscriber of a server process have written of the
# request to a URL.
class ToldRequest
  # Lines of the process's config.ru, above the proxy.
  SUBSCRIBERS = <<~RUBY
    require "json"
    require "active_support"
    require "active_support/notifications"
    require "rack/streaming_proxy/log_subscriber"
    Rack::StreamingProxy::LogSubscriber.attach_to :streaming_proxy
    facts = %i[method upstream url status complete bytes_up bytes_down attempts error]
    ActiveSupport::Notifications.subscribe("request.streaming_proxy") do |event|
      puts "event \#{JSON.generate(event.payload.slice(*facts).merge(ms: event.duration))} end"
    end
    ActiveSupport::Notifications.subscribe("error.streaming_proxy") do |event|
      puts "error \#{event.payload[:error]} \#{event.payload[:url]}"
    end
    ActiveSupport::Notifications.subscribe("request.streaming_proxy") do |_, from, to, _, payload|
      puts "timed \#{payload[:url]} \#{(to - from) * 1000} end"
    end
  RUBY

  attr_reader :events, :lines

  # Waits until each has written, which may be after the client has its answer.
  # @param output [ChildOutput]
  def self.await(output, url, within: Deadline::SECONDS)
    Deadline.new(within).poll { new(output.to_s, url).then { |told| told if told.by_all? } } ||
      new(output.to_s, url)
  end

  def initialize(text, url)
    url = Regexp.escape(url)
    @events = text.scan(/event (\{.*#{url}".*\}) end$/).map { |json,| JSON.parse(json) }
    @timed = text.scan(/timed #{url} (\S+) end$/).map { |milliseconds,| Float(milliseconds) }
    @lines = text.scan(/\[Rack::StreamingProxy\] ((?:Finishing|Failed) .*#{url} .*)$/).flatten
  end

  def by_all?
    [@events, @timed, @lines].none?(&:empty?)
  end

  # @return [Array<Float>] milliseconds, as each subscriber has been told
  def times
    @events.map { |event| event["ms"] } + @timed
  end
end
