# frozen_string_literal: true

require "tmpdir"

# What settings about connections do, as an upstream or a caller sees it.
module ConnectionEffects
  def effect_of_max_idle_connections(app)
    together = EventQueue.new
    upstream = serving do
      together.pop
      [200, {}, ""]
    end
    proxy = app.call(upstream.url)
    callers = Array.new(3) { in_thread { fetch(proxy) } }
    3.times { upstream.wait_for_request }
    3.times { together << :go }
    callers.each(&:join)
    expect(Deadline.new(10).poll { upstream.connections.count(&:closed?) == 2 }).to be(true)
  end

  def effect_of_idle_connection_timeout(app)
    upstream = serving { [200, {}, ""] }
    fetch(app.call(upstream.url))
    expect(Deadline.new(10).poll { upstream.connections.first.closed? }).to be(true)
  end

  def effect_of_max_connections(app)
    together = EventQueue.new
    upstream = answering_when(together)
    proxy = app.call(upstream.url)
    callers = Array.new(3) { in_thread { fetch(proxy).status } }
    expect_waiting(2)
    3.times { together << :go }
    expect(callers.map(&:value)).to eq([200, 200, 200])
    expect(upstream.connections.size).to eq(1)
  end

  def effect_of_connection_wait(app)
    while_connections_are_taken(app, max_connections: 1) do |proxy|
      answer = nil
      expect(elapsed { answer = fetch(proxy) }).to be_between(0.2, 4) # by default 5
      expect([answer.status, answer["Retry-After"]]).to eq([503, "1"])
    end
  end

  def effect_of_max_waiting_requests(app)
    while_connections_are_taken(app, max_connections: 1) do |proxy|
      answer = nil
      expect(elapsed { answer = fetch(proxy) }).to be < 4 # connection_wait is 5
      expect(answer.status).to eq(503)
    end
  end

  def effect_of_max_connection_age(app)
    expect_each_request_to_have_its_own_connection(app)
  end

  def effect_of_max_connection_requests(app)
    expect_each_request_to_have_its_own_connection(app)
  end

  def effect_of_http2(app)
    seen = EventQueue.new
    upstream = start_upstream { |connection| seen << connection.read_some }
    expect(fetch(app.call(upstream.url)).status).to eq(502)
    expect(seen.pop).to start_with("PRI * HTTP/2.0\r\n")
  end

  def effect_of_socket(app)
    upstream = serving(socket: unix_socket) { |request| [200, {}, request.head["host"]] }
    expect(fetch(app.call("http://app.test/x")).body).to eq("app.test")
    expect(upstream.requests.map(&:target)).to eq(["/x"])
  end

  # @return [String] a path that nothing is at yet
  def unix_socket
    @unix_socket ||= File.join(Dir.mktmpdir.tap { |made| closing(Removing.new(made)) }, "app.sock")
  end

  # A directory that goes with the example.
  Removing = Struct.new(:directory) do
    def close
      FileUtils.remove_entry(directory)
    end
  end

  private

  def expect_waiting(count)
    waiting = -> { Rack::StreamingProxy.stats[:waiting_requests] == count }
    expect(Deadline.new(10).poll(&waiting)).to be(true)
  end

  def answering_when(event)
    serving do
      event.pop
      [200, {}, ""]
    end
  end

  def while_connections_are_taken(app, settings)
    release = EventQueue.new
    upstream = answering_when(release)
    proxy = app.call(upstream.url, settings)
    holder = in_thread { fetch(proxy) }
    upstream.wait_for_request
    yield proxy
  ensure
    release << :go
    holder.join
  end

  def expect_each_request_to_have_its_own_connection(app)
    upstream = serving { [200, {}, ""] }
    proxy = app.call(upstream.url)
    3.times do
      fetch(proxy)
      sleep 0.002 # an age to reach
    end
    expect(upstream.connections.size).to eq(3)
  end
end
