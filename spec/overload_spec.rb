# frozen_string_literal: true

RSpec.describe Rack::StreamingProxy::Proxy, "and an upstream whose connections are all taken" do
  # Runs the block while the one connection serves a request that waits.
  def while_taken(**settings)
    release = EventQueue.new
    upstream = serving do
      release.pop
      [200, {}, "late"]
    end
    app = bare(max_connections: 1, **settings) { upstream.url }
    first = in_thread { fetch(app) }
    upstream.wait_for_request
    yield app, release
  ensure
    release << :go
    first.join
  end

  it "answers 503 with Retry-After and no internals when none comes free", id: "CN5" do
    while_taken(connection_wait: 0.05) do |app|
      answer = fetch(app)
      expect([answer.status, answer["Retry-After"], answer.body])
        .to eq([503, "1", "503 Service Unavailable"])
    end
  end

  it "raises Overloaded, which says what to change, under raise_on_error", id: "CN5" do
    while_taken(connection_wait: 0.05, raise_on_error: true) do |app|
      expect { fetch(app) }.to raise_error(Rack::StreamingProxy::Overloaded) { |error|
        expect(error.message).to match(/max_connections.*connection_wait/)
        expect([error.status, error.phase]).to eq([503, :connect])
      }
    end
  end

  it "is no timeout, though total_timeout covers the wait too", id: "TO1" do
    while_taken(total_timeout: 0.1) do |app|
      expect(fetch(app).status).to eq(504)
    end
  end

  it "serves who waited when one comes free", id: "CN5" do
    while_taken do |app, release|
      second = in_thread { fetch(app) }
      waiting = -> { Rack::StreamingProxy.stats[:waiting_requests] == 1 }
      expect(Deadline.new(10).poll(&waiting)).to be(true)
      2.times { release << :go }
      expect(second.value.body).to eq("late")
    end
  end

  it "lets a thread that waits be killed, and its place in line go", id: "CN5" do
    while_taken do |app|
      waiter = in_thread { fetch(app) }
      waiting = -> { Rack::StreamingProxy.stats[:waiting_requests] }
      expect(Deadline.new(10).poll { waiting.call == 1 }).to be(true)
      waiter.kill.join
      expect(Deadline.new(10).poll { waiting.call.zero? }).to be(true)
    end
  end
end
