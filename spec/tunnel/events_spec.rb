# frozen_string_literal: true

RSpec.describe Rack::StreamingProxy::Tunnel, "and what is told of it" do
  include Tunnels

  let!(:events) { keep(EventRecorder.new("request.streaming_proxy")) }

  def told
    expect(Deadline.new(10).poll { events.events.any? }).to be(true)
    expect(events.payloads.size).to eq(1)
    events.payloads.first
  end

  it "comes at its end, with the bytes of both directions" do
    completed = EventQueue.new("on_complete")
    client = tunnel_in_process(proxy(echoing(glued: "12"), on_complete: completed.method(:push)))
    client.write("abc")
    expect(client.read_exactly(5)).to eq("12abc")
    expect(events.events).to be_empty
    client.io.close_write
    expect(told).to include(delivery: :tunnel, status: 101, bytes_up: 3, bytes_down: 5,
                            complete: true, attempts: 1)
    expect(completed.pop.status).to eq(101)
    expect(logger.lines.grep(/Finishing .*status 101, 5 bytes/).size).to eq(1)
  end

  it "comes though on_complete ends its thread" do
    client = tunnel_in_process(proxy(echoing, on_complete: proc { Thread.exit }))
    client.io.close_write
    expect(told).to include(status: 101, complete: true)
  end

  it "tells an upstream that has broken off from a client that has left" do
    upstream = start_upstream do |connection|
      connection.read_head
      connection.write(Tunnels::SWITCH % "websocket")
      connection.read_exactly(2)
      connection.reset
    end
    tunnel_in_process(proxy(upstream)).write("go")
    expect(told).to include(status: 101, complete: false,
                            error: "Rack::StreamingProxy::ProtocolError")
    expect(logger.lines.grep(/Failed .*broke the tunnel off/).size).to eq(1)
  end

  it "tells of nothing moving for tunnel_timeout", id: "WS6" do
    client = tunnel_in_process(proxy(echoing, tunnel_timeout: 0.2))
    expect(client.wait_for_end).not_to be_nil
    expect(told).to include(complete: false, error: "Rack::StreamingProxy::TimeoutError")
    expect(logger.lines.grep(/moved no byte for 0.2 s \(tunnel_timeout\)/).size).to eq(1)
  end

  it "tells of nothing moving for idle_timeout once one side has ended its direction", id: "WS4" do
    left = EventQueue.new("the tunnel's end")
    upstream = start_upstream do |connection|
      connection.read_head
      connection.write(Tunnels::SWITCH % "websocket")
      left.pop
    end
    client = tunnel_in_process(proxy(upstream, idle_timeout: 0.2, timeout: 20))
    client.io.close_write
    expect(client.wait_for_end).not_to be_nil
    expect(told).to include(complete: false, error: "Rack::StreamingProxy::TimeoutError")
    expect(logger.lines.grep(/moved no byte for 0.2 s \(idle_timeout/).size).to eq(1)
    left << true
  end

  it "is an error of the request if the head is none" do
    upstream = start_upstream { |connection| connection.write("no head\r\n\r\n") }
    upgrade_in_process(proxy(upstream))
    expect(told).to include(status: 502, delivery: :body)
  end
end
