# frozen_string_literal: true

# `delivery: :early` with what is handed over in the process of the example, and interruptions.
RSpec.describe Rack::StreamingProxy::Early do
  include HijackedCalls

  let(:upstream) { serving { [200, {}, "whole"] } }
  let(:app) { bare(delivery: :early) { upstream.url("/") } }

  after do
    freed = Deadline.new(10).poll { Rack::StreamingProxy.stats[:exchanges].zero? }
    expect(freed).to be_truthy
  end

  it "writes to what is no socket at once, as to a test's StringIO" do
    sink = StringIO.new
    expect(app.call(env_for("/", handing(sink)))).to eq([200, {}, []])
    expect(sink.string).to end_with("\r\n\r\nwhole")
    expect(sink).to be_closed
  end

  it "ends the exchange when the socket that it gets is closed" do
    server, = socket_pair
    server.close
    expect(app.call(env_for("/", handing(server)))).to eq([200, {}, []])
  end

  it "leaves nothing behind of an answer whose thread is interrupted, and gives no second one" do
    server, client = socket_pair
    reporters = Rack::StreamingProxy::Reporters
    before = reporters.open
    thread = Thread.current
    expecting = receive(:expect).and_wrap_original do |expect, *given, &report|
      expect.call(*given, &report).tap do
        Thread.new { thread.raise(HijackedCalls::Interruption) }.join
      end
    end
    allow(reporters).to expecting
    settings = Rack::StreamingProxy::Configuration.new({})
    generic = Rack::StreamingProxy::Server::Generic.new(env_for)
    hijacked = Rack::StreamingProxy::Delivery::HijackedClient.new(server, generic, settings)
    expect { hijacked.answer([200, {}, ["short"]]) }.to raise_error(HijackedCalls::Interruption)
    expect(hijacked).to be_closed
    expect(client.read).to match(%r{\AHTTP/1.1 200 .*short\z}m)
    expect(Deadline.new(10).poll { (reporters.open - before).empty? }).to be_truthy
  end

  it "goes on with an exchange that has left when its thread is interrupted" do
    go = EventQueue.new("sign to go on")
    upstream = serving { go.pop && [200, {}, "later"] }
    app = bare(delivery: :early) { upstream.url("/") }
    server, client = socket_pair
    expect { app.call(env_for("/", handing_interrupted(server))) }
      .to raise_error(HijackedCalls::Interruption)
    go << true
    expect(client.read).to end_with("\r\n\r\nlater")
  end

  it "has an exchange that says whose it is to each of two threads that end it at once" do
    session = second = nil
    making = receive(:new).and_wrap_original { |made, *given| session = made.call(*given) }
    allow(Rack::StreamingProxy::Session).to making
    ending = receive(:ending).and_wrap_original do |ended|
      ended.call
      second = Thread.new { session.close }.join
    end
    allow_any_instance_of(Rack::StreamingProxy::Session::Bell).to ending
    bare { upstream.url("/") }.call(env_for).last.close
    expect([session.close, second.value]).to eq([true, true])
  end

  it "closes the socket that it has taken when its thread is interrupted before it is left" do
    sink = StringIO.new
    expect { app.call(env_for("/", handing_interrupted(sink))) }
      .to raise_error(HijackedCalls::Interruption)
    expect(sink).to be_closed
  end

  it "hands the ordinary response over where there is no full hijack" do
    answer = app.call(env_for("/", "rack.hijack?" => true))
    server, client = socket_pair
    hand_over(answer, server)
    expect(client.read).to eq("whole")
  end

  it "goes the ordinary way where there is none at all" do
    expect(fetch(app).body).to eq("whole")
  end
end
