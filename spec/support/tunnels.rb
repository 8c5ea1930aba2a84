# frozen_string_literal: true

require_relative "hijacked_calls"

# Upgrades to scripted upstreams, through the server under test (@server), whose config.ru is
# RackupText.proxy_to_ports, or in the spec process: what is sent behind the heads is raw bytes.
module Tunnels
  include HijackedCalls

  SWITCH = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n"
  UPGRADE = { "Connection" => "Upgrade", "Upgrade" => "websocket" }.freeze

  # An upstream that changes to any protocol, and then sends back what it gets, until the end of it.
  # @param glued [String] sent in one write with the 101
  # @param more [String] lines of the 101
  def echoing(glued: "", more: "", **options)
    start_upstream(**options) do |connection|
      head = connection.read_head
      connection.write("#{(SWITCH % head["upgrade"]).chomp}#{more}\r\n#{glued}")
      loop { connection.write(connection.read_some) }
    end
  end

  # Asks for an upgrade through the server.
  # @param early [String] sent in one write with the request
  # @return [RawClient]
  def upgrade(upstream, headers = {}, early: "", verb: "GET", version: "1.1")
    client = connect(@server)
    lines = { "Host" => "client.test", **UPGRADE, **headers }.compact
    lines = lines.map { |name, value| "#{name}: #{value}\r\n" }.join
    client.write("#{verb} /#{upstream.port}/path HTTP/#{version}\r\n#{lines}\r\n#{early}")
  end

  # @return [RawClient] whose tunnel is open
  def tunnel(upstream, headers = {}, **options)
    client = upgrade(upstream, headers, **options)
    head = client.read_head
    expect(head.status).to eq(101), head.raw
    client
  end

  # More tunnels than the server has threads and processes.
  def expect_tunnels_beside_requests
    clients = Array.new(8) { tunnel(echoing) }
    plain = connect(@server).tap { |client| client.get("/__pid") }
    expect(plain.read_response.status).to eq(200)
    clients.each { |client| client.write("x") }
    expect(clients.map { |client| client.read_exactly(1) }).to all(eq("x"))
  end

  # @return [RecordingLogger] of {#proxy}
  def logger
    @logger ||= InProcessCalls::RecordingLogger.new
  end

  # An application in the spec process.
  def proxy(upstream, **settings)
    bare(logger:, **settings) { upstream.url("/path") }
  end

  def expect_nothing_left
    expect(Deadline.new(10).poll { idle? }).to be(true)
  end

  def idle?
    stats = Rack::StreamingProxy.stats
    stats.values_at(:exchanges, :streams, :connections).sum == stats[:idle_connections]
  end

  # Asks an application for an upgrade, as a server that hands the client's socket over.
  # @param env [Hash] more of the request's
  # @param io [Object] what `rack.hijack` gives instead of the socket
  # @return [Array(Array, RawClient)] the answer, and the client
  def upgrade_in_process(app, env = {}, io = nil)
    server, client = socket_pair
    env = { "SERVER_PROTOCOL" => "HTTP/1.1", "HTTP_CONNECTION" => "keep-alive, Upgrade",
            "HTTP_UPGRADE" => "websocket", **handing(io || server), **env }
    [app.call(env_for("/", env)), RawClient.new(client)]
  end

  # @return [RawClient] whose tunnel is open
  def tunnel_in_process(app, env = {})
    answer, client = upgrade_in_process(app, env)
    expect(answer).to eq([200, {}, []])
    expect(client.read_head.status).to eq(101)
    client
  end
end
