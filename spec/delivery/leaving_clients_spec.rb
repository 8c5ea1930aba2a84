# frozen_string_literal: true

# What callbacks of `proxy_fetch` hear of a client that has left before its answer.
RSpec.describe Rack::StreamingProxy::Fetch, "whose client leaves" do
  include HijackedCalls

  let(:logger) { InProcessCalls::RecordingLogger.new }
  let!(:events) { keep(EventRecorder.new("request.streaming_proxy")) }
  let(:reporters) { Rack::StreamingProxy::Reporters }
  let(:gone) { Rack::StreamingProxy::ClientGone }

  after do
    freed = Deadline.new(10).poll do
      Rack::StreamingProxy.stats[:exchanges].zero? && reporters.open.empty?
    end
    expect(freed).to be_truthy
  end

  describe "while on_response reads the body" do
    let(:upstream) do
      start_upstream do |connection|
        connection.read_head
        connection.begin_chunked
        connection.chunk("first")
        connection.wait_for_end(within: 20)
      end
    end

    # @return [Array(Integer, Hash, #each), nil]
    def leave(client, env, **settings, &on_error)
      described_class.new(upstream.url, env_for("/", env), logger:, **settings) do |config|
        config.on_response do |response, responder|
          client.close
          responder.render(text: response.body)
        end
        config.on_error(&on_error) if on_error
      end.call
    end

    def expect_told
      line = /\AINFO .*Failed .*status 499.*the client left/
      expect(Deadline.new(10).poll { logger.lines.grep(line).any? }).to be(true)
      expect(events.payloads)
        .to match([include(status: 499, error: gone.name, aborted_by: :client)])
    end

    it "tells the event so" do
      server, client = socket_pair
      leave(client, handing(server))
      expect_told
    end

    it "tells on_error so, with a responder that is closed" do
      server, client = socket_pair
      told = EventQueue.new("on_error")
      leave(client, handing(server)) { |error, responder| told << [error, responder.closed?] }
      expect(told.pop(within: 10)).to match([be_a(gone), true])
      expect_told
    end

    it "tells so where the server writes, and raises nothing in the application" do
      server, client = socket_pair
      env = { "puma.socket" => server, "SERVER_PROTOCOL" => "HTTP/1.1", "HTTP_HOST" => "a" }
      expect(leave(client, env, delivery: :body).first).to eq(502)
      expect_told
    end
  end

  describe "before the application's thread has let go of it" do
    let(:upstream) do
      start_upstream { |connection| connection.read_head && connection.wait_for_end(within: 20) }
    end
    let(:left) { socket_pair.first.tap(&:close) }

    it "tells on_error in that thread, which may be interrupted" do
      thread = Thread.current
      told = []
      fetch = described_class.new(upstream.url, env_for("/", handing(left)), logger:) do |config|
        config.on_error do |error|
          told << error
          Thread.new { thread.raise(HijackedCalls::Interruption) }.join
          Thread.pass # in which what is pending comes
          told << :went_on
        end
      end
      expect { fetch.call }.to raise_error(HijackedCalls::Interruption)
      expect(told).to match([be_a(gone)])
    end

    it "leaves nothing behind of an exchange whose thread is interrupted meanwhile" do
      env = env_for("/", handing_interrupted(left))
      expect { described_class.new(upstream.url, env, logger:).call }
        .to raise_error(HijackedCalls::Interruption)
    end
  end
end
