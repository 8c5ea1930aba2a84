# frozen_string_literal: true

require_relative "support/instrumented_calls"

RSpec.describe Rack::StreamingProxy::Proxy, "and the subscribers of ActiveSupport::Notifications" do
  include InstrumentedCalls

  describe "with a subscriber that raises" do
    before { subscribe(/streaming_proxy/, subscriber) }

    # Told of the start as well as of the end.
    let(:subscriber) do
      Class.new do
        def start(*) = raise(KeyError, "start")
        def finish(*) = raise(KeyError, "finish")
      end.new
    end

    it "answers whole all the same, tells the others, and logs it" do
      later = record("request.streaming_proxy")
      expect(fetch(proxy).body).to eq("12345")
      expect([requests, later].map { |recorder| recorder.events.size }).to eq([1, 1])
      expect(logger.lines.grep(/WARN .*a subscriber failed: KeyError/).size).to eq(2)
    end

    it "still tells the server that a body was cut short" do
      expect { fetch(proxy(cutting_upstream.url)) }.to raise_error(Rack::StreamingProxy::BodyError)
      expect(payload[:error]).to eq("Rack::StreamingProxy::ProtocolError")
    end
  end

  it "tells of the end though on_complete and the logger raise" do
    app = proxy(on_complete: ->(_) { raise "mine" })
    _, _, body = app.call(env_for)
    body.each(&:itself)
    logger.define_singleton_method(:warn) { |_| raise "full" }
    expect { body.close }.to output(/the logger failed: RuntimeError: full/).to_stderr
    expect(payload[:complete]).to be(true)
  end

  describe "with subscribers that come and go in mid-body" do
    it "tells those of the end whom it has told of the start" do
      _, _, body = proxy.call(env_for)
      requests.stop
      late = record("request.streaming_proxy")
      read(body)
      expect([requests, late].map { |recorder| recorder.events.size }).to eq([1, 0])
      fetch(proxy)
      expect(late.events.size).to eq(1)
      expect(logger.lines.grep(/WARN/)).to be_empty
    end
  end
end
