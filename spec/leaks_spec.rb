# frozen_string_literal: true

RSpec.describe "Five hundred cut connections" do
  # /whole answers, /silent never does, /begun stops amid the body, /cut is cut by the upstream.
  def upstream_of_all_kinds
    start_upstream do |connection|
      case connection.read_head.target
      when "/whole" then connection.respond(200, { "Connection" => "close" }, "whole")
      when "/silent" then connection.wait_for_end(within: 30)
      when "/begun"
        begin_body(connection)
        connection.wait_for_end(within: 30)
      when "/cut"
        begin_body(connection)
        connection.reset
      end
    end
  end

  def begin_body(connection)
    connection.begin_chunked
    connection.chunk("x" * 1000)
  end

  # What may not grow: descriptors, threads, and the proxy's own counts.
  def counts(server)
    server.stats.slice(:exchanges, :connections, :tasks)
          .merge(fds: server.fds, threads: server.threads)
  end

  # The counts once nothing is under way any more.
  def settled_counts(server, wanted = nil)
    latest = nil
    Deadline.new(10).poll(every: 0.1) do
      latest = counts(server)
      wanted ? latest == wanted : latest[:exchanges].zero? && latest[:connections].zero?
    end
    latest
  end

  # One client that leaves at some moment of its request.
  def cut_one(server, number)
    client = RawClient.new(server.address)
    path = %w[/silent /begun /cut][number % 3]
    client.get(path)
    client.read_some(within: 10) if path == "/begun"
    client.read_to_end(within: 10) if path == "/cut"
    number.even? ? client.close : client.reset
  end

  def cut_all(server, numbers)
    while (number = numbers.pop)
      cut_one(server, number)
    end
  end

  def cut_many(server, count)
    numbers = Queue.new
    count.times { |number| numbers << number }
    numbers.close
    cutters = Array.new(10) { in_thread { cut_all(server, numbers) } }
    cutters.each { |thread| expect(thread.join(50)).not_to be_nil }
  end

  { puma: { threads: 10 }, unicorn: { workers: 1 } }.each do |kind, options|
    it "leave nothing behind on #{kind}" do
      upstream = upstream_of_all_kinds
      server = start_server(kind, RackupText.proxy, env: { "UPSTREAM" => upstream.url("") },
                                                    **options)
      20.times do
        client = connect(server)
        client.get("/whole", { "Connection" => "close" })
        client.read_to_end
      end
      cut_many(server, 10)
      before = settled_counts(server)
      cut_many(server, kind == :puma ? 500 : 30)
      expect(settled_counts(server, before)).to eq(before)
      expect(upstream.connections.reject(&:closed?)).to be_empty
    end
  end

  it "leave nothing behind in a process that calls the proxy itself" do
    upstream = upstream_of_all_kinds
    app = bare(timeout: 0.05, connect_timeout: 0.1) { |request| upstream.url(request.path) }
    cut = lambda do |number|
      _, _, body = app.call(env_for(%w[/silent /begun /cut][number % 3]))
      body.close if body.respond_to?(:close)
    end
    10.times(&cut)
    quiet = -> { upstream.connections.all?(&:closed?) }
    Deadline.new(10).poll(&quiet)
    GC.start
    before = Dir.children("/proc/self/fd").size
    150.times(&cut)
    Deadline.new(10).poll(&quiet)
    GC.start
    expect(Deadline.new(10).poll { Dir.children("/proc/self/fd").size <= before }).to be(true)
    expect(Rack::StreamingProxy.stats).to include(exchanges: 0)
  end

  it "leave nothing behind when the thread is killed at any moment" do
    upstream = serving { |request| [200, {}, request.body] }
    app = bare { upstream.url }
    fetch(app)
    before = Dir.children("/proc/self/fd").size
    killed = Array.new(300) do |number|
      thread = in_thread { fetch(app, "/", method: "POST", input: "x" * (number * 37)) }
      sleep rand * 0.002
      thread.kill.join(10)
    end
    expect(killed).to all(be_truthy)
    expect(fetch(app).status).to eq(200)
    expect(Deadline.new(10).poll { Rack::StreamingProxy.stats[:exchanges].zero? }).to be(true)
    GC.start
    expect(Deadline.new(10).poll { Dir.children("/proc/self/fd").size <= before + 8 }).to be(true)
  end

  it "hold nothing of the bodies that nobody reads, before any garbage collection",
     time_limit: 120 do
    block = "x" * (1 << 20)
    upstream = start_upstream do |connection|
      connection.read_head
      connection.begin_chunked
      4.times { connection.chunk(block) }
      connection.wait_for_end(within: 10)
    end
    result = RubyScript.run(<<~RUBY, env: { "UPSTREAM" => upstream.url }, within: 90)
      require "rack/mock"
      app = Rack::StreamingProxy::Proxy.new(proc {}, logger: Logger.new(nil)) do
        ENV.fetch("UPSTREAM")
      end
      down = -> { Rack::StreamingProxy.stats[:bytes_down] }
      abandon = lambda do |_|
        before = down.call
        body = app.call(Rack::MockRequest.env_for("/")).last
        sleep 0.001 until down.call - before >= 128 * 1024
        body.close
      end
      facts = lambda do
        sleep 0.01 until Rack::StreamingProxy.stats.values_at(:exchanges, :connections).sum.zero?
        [File.read("/proc/self/statm").split[1].to_i * 4, Dir.children("/proc/self/fd").size]
      end
      20.times(&abandon)
      GC.start
      GC.disable
      before = facts.call
      200.times(&abandon)
      after = facts.call
      puts after.zip(before).map { |now, earlier| now - earlier }.join(" ")
    RUBY
    kibibytes, descriptors = result.output.split.map(&:to_i)
    expect(result.output).to match(/\A-?\d+ -?\d+\n\z/)
    expect(kibibytes).to be < 10 * 1024
    expect(descriptors).to eq(0)
  end

  it "are counted in stats, and so is what goes on" do
    upstream = upstream_of_all_kinds
    app = bare { |request| upstream.url(request.path) }
    before = Rack::StreamingProxy.stats
    expect(before.keys).to include(:exchanges, :connections, :idle_connections, :bytes_up,
                                   :bytes_down, :tasks)
    expect(before.except(:errors).values).to all(be_an(Integer))
    _, _, body = app.call(env_for("/begun", method: "POST", input: "12345"))
    expect(Rack::StreamingProxy.stats[:exchanges]).to eq(before[:exchanges] + 1)
    body.close
    expect(Deadline.new(10).poll { Rack::StreamingProxy.stats[:exchanges] == before[:exchanges] })
      .to be(true)
    fetch(app, "/whole")
    expect(Rack::StreamingProxy.stats[:bytes_up]).to be >= before[:bytes_up] + 5
    expect(Rack::StreamingProxy.stats[:bytes_down]).to be >= before[:bytes_down] + 5
  end
end
