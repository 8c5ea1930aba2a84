# frozen_string_literal: true

RSpec.describe "Servers and their processes" do
  # Uses the proxy in the process that loads the config.ru, before any worker is forked from it.
  warm = <<~RUBY
    require "rack/mock"
    early = Rack::StreamingProxy::Proxy.new(proc {}, logger: Logger.new(nil)) do
      ENV.fetch("UPSTREAM") + "/early"
    end
    _, _, early_body = early.call(Rack::MockRequest.env_for("/"))
    early_body.each {}
    early_body.close
  RUBY

  # Answers; /stream sends a first tick, and another one whenever it is told to.
  def ticking_upstream
    @tick = EventQueue.new("sign to tick")
    start_upstream do |connection|
      loop do
        next connection.respond(200, {}, "quick") unless connection.read_head.target == "/stream"

        connection.begin_chunked
        connection.chunk("first")
        stream(connection)
      end
    end
  end

  def stream(connection)
    while (tick = @tick.pop(within: 30)) != :end
      connection.chunk(tick)
    end
    connection.end_chunked
  end

  def open_stream(server)
    client = connect(server)
    client.get("/stream")
    client.read_head
    expect(client.read_chunk).to eq("first")
    client
  end

  def get(server, path = "/")
    client = connect(server)
    client.get(path)
    client.read_response
  end

  {
    "Puma in single mode" => [:puma, {}],
    "Puma in cluster mode with preload_app!" => [:puma, { workers: 2, more: "preload_app!" }],
    "Puma in cluster mode" => [:puma, { workers: 2, more: "preload_app! false" }],
    "Unicorn" => [:unicorn, { workers: 2 }],
    "Unicorn with preload_app" => [:unicorn, { workers: 2, more: "preload_app true" }]
  }.each do |name, (kind, options)|
    context name do
      let(:upstream) { ticking_upstream }
      let(:server) do
        start_server(kind, RackupText.proxy(above: warm), env: { "UPSTREAM" => upstream.url("") },
                                                          **options)
      end

      it "works, also when the proxy was used before the fork", id: "CN9" do
        20.times { expect(get(server).body).to eq("quick") }
      end

      it "streams in every process at the same time", id: "CN9" do
        streams = Array.new(2) do
          open_stream(server)
        end
        streams.each { @tick << :end }
        expect(streams.map(&:read_chunk)).to all(be_nil)
      end

      it "ends promptly when asked to, and leaves no process" do
        get(server)
        family = [server.pid, *server.children]
        seconds = elapsed do
          server.signal(kind == :unicorn ? "QUIT" : "TERM")
          expect(server.wait(within: 20)).not_to be_nil
        end
        expect(seconds).to be < 10
        expect(family.select { |pid| ProcessFacts.alive?(pid) }).to be_empty
      end
    end
  end

  describe "shutting down with a stream open" do
    it "does not lengthen Puma's forced shutdown while the head is awaited" do
      upstream = start_upstream do |connection|
        connection.read_head
        connection.wait_for_end(within: 30)
      end
      server = start_puma(RackupText.proxy, env: { "UPSTREAM" => upstream.url("") },
                                            more: "force_shutdown_after 1")
      client = connect(server)
      client.get
      upstream.wait_for_request
      server.signal("TERM")
      expect(elapsed { expect(server.wait(within: 20)).not_to be_nil }).to be < 10
    end

    it "does not lengthen Puma's forced shutdown amid a body" do
      upstream = ticking_upstream
      server = start_puma(RackupText.proxy, env: { "UPSTREAM" => upstream.url("") },
                                            more: "force_shutdown_after 1")
      client = open_stream(server)
      server.signal("TERM")
      # Puma gives a thread in `each` this second and five more, and then kills it.
      expect(elapsed { expect(server.wait(within: 20)).not_to be_nil }).to be < 15
      expect(ChunkedBody.new(client.read_to_end.first)).not_to be_complete
    end

    it "lets Unicorn end at once on TERM" do
      upstream = ticking_upstream
      server = start_unicorn(RackupText.proxy, env: { "UPSTREAM" => upstream.url("") })
      client = open_stream(server)
      server.signal("TERM")
      expect(elapsed { expect(server.wait(within: 20)).not_to be_nil }).to be < 10
      expect(ChunkedBody.new(client.read_to_end.first)).not_to be_complete
    end
  end
end
