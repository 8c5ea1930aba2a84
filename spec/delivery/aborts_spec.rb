# frozen_string_literal: true

# Many responses that end early, because one side leaves. bench/aborts has the same with 10,000.
RSpec.describe "What leaves the application's thread, and ends early" do
  include ServerCounts

  # A middleware that does what an action of Rails does.
  fetching = <<~RUBY
    use(Class.new do
      def initialize(app) = @app = app

      def call(env)
        return @app.call(env) unless env["PATH_INFO"] == "/__fetch"

        url = ENV.fetch("UPSTREAM") + "/silent"
        Rack::StreamingProxy::Fetch.new(url, env, logger: Logger.new(nil)).call || [200, {}, []]
      end
    end)
  RUBY

  scripts = {
    "/silent" => ->(connection) { connection.wait_for_end(within: 60) },
    "/waiting" => lambda do |connection|
      connection.begin_chunked
      connection.chunk("first")
      connection.wait_for_end(within: 60)
    end,
    "/flooding" => lambda do |connection|
      connection.begin_chunked
      loop { connection.chunk("x" * 65_536) }
    end,
    "/cut" => lambda do |connection|
      connection.begin_chunked
      connection.chunk("first")
      connection.reset
    end,
    "/gone" => :reset.to_proc,
    "/tunnel" => lambda do |connection|
      connection.write(Tunnels::SWITCH % "websocket")
      connection.wait_for_end(within: 60)
    end,
    "/tunnel/cut" => lambda do |connection|
      connection.write("#{Tunnels::SWITCH % "websocket"}first")
      connection.reset
    end
  }

  # One client, which leaves at some moment.
  def leave(upstream, client, number)
    upstream.wait_for_request if (number % 3).positive?
    client.read_some if number % 3 == 2
    number.even? ? client.close : client.reset
  end

  def ask(server, path)
    fields = path.start_with?("/tunnel") ? Tunnels::UPGRADE : { "Connection" => "close" }
    RawClient.new(server.address).get(path, fields)
  end

  { ":hijack" => { leaving: %w[/waiting /flooding], left: %w[/cut] },
    ":early" => { leaving: %w[/silent /waiting /flooding], left: %w[/gone /cut] },
    "proxy_fetch" => { leaving: %w[/__fetch], left: [] },
    "tunnels" => { leaving: %w[/tunnel], left: %w[/tunnel/cut] } }.each do |way, sides|
    it "leaves nothing behind: #{way}" do
      upstream = start_upstream { |one| scripts.fetch(one.read_head.target).call(one) }
      delivery = way.start_with?(":") ? way : ":hijack"
      server = start_puma(RackupText.proxy("max_connections: 1000, delivery: #{delivery}",
                                           below: fetching),
                          env: { "UPSTREAM" => upstream.url("") })
      leaving = lambda do |count|
        sides[:leaving].product([*1..count]).each do |path, number|
          number -= 1 if path.match?(/silent|fetch/) && number % 3 == 2
          leave(upstream, ask(server, path), number)
        end
        settle(server)
      end
      leaving.call(20)
      before = counts(server)
      leaving.call(100)
      stats = server.stats
      expect(stats).to include(errors: {})
      expect(stats.values_at(:finished, :abandoned).sum).to eq(stats[:started])
      sides[:left].product([*1..100]) { |path, _| ask(server, path).tap(&:wait_for_end).close }
      settle(server)
      soon { counts(server).all? { |name, count| count <= before.fetch(name) } }
      soon { upstream.connections.all?(&:closed?) }
    end
  end
end
