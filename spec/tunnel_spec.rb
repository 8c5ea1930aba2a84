# frozen_string_literal: true

RSpec.describe Rack::StreamingProxy::Proxy, "and requests to upgrade" do
  include ServerCalls
  include Tunnels
  include TlsPeers

  describe "a 101" do
    { "to another protocol" => "Connection: upgrade\r\nUpgrade: other\r\n",
      "to a protocol more" => "Connection: upgrade\r\nUpgrade: websocket, other\r\n",
      "to nothing" => "Connection: upgrade\r\n",
      "that Connection does not list" => "Upgrade: websocket\r\n",
      "to what is no text" => "Connection: upgrade\r\nUpgrade: web\xFFsocket\r\n" }
      .each do |what, lines|
        it "#{what} is a 502", id: "WS1" do
          upstream = start_upstream do |connection|
            connection.read_head
            connection.write("HTTP/1.1 101 Switching Protocols\r\n#{lines}\r\n".b)
            connection.wait_for_end
          end
          answer, = upgrade_in_process(proxy(upstream))
          expect(answer.first).to eq(502)
          expect_nothing_left
        end
      end

    it "may follow interim responses", id: "WS9" do
      upstream = start_upstream do |connection|
        connection.read_head
        connection.write("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\n")
        connection.write(Tunnels::SWITCH % "websocket")
        connection.write(connection.read_some)
      end
      client = tunnel_in_process(proxy(upstream), "HTTP_EXPECT" => "100-continue")
      client.write("x")
      expect(client.read_to_end).to eq(["x", :fin])
    end

    it "has the upstream's end-to-end fields, without those that steer the server", id: "HH5" do
      upstream = echoing(more: "X-A: 1\r\nX-A: 2\r\nX-Accel-Redirect: /secret\r\n" \
                               "Sec-WebSocket-Protocol: chat\r\nContent-Length: 5\r\n" \
                               "Keep-Alive: timeout=5\r\nConnection: X-Hop\r\nX-Hop: 1\r\n")
      head = tunnel_in_process(proxy(upstream)).head
      expect(head.first_line).to eq("HTTP/1.1 101 Switching Protocols")
      expect([head["x-a"], head["sec-websocket-protocol"]]).to eq(["1, 2", "chat"])
      expect(head["connection"]).to eq("Upgrade")
      expect(head.names & %w[x-accel-redirect content-length keep-alive x-hop]).to eq([])
    end
  end

  describe "the tunnel" do
    it "leads to upstreams that speak TLS, over HTTP/1.1", id: "WS7" do
      offered = nil
      context = authority.context
      context.alpn_select_cb = ->(protocols) { (offered = protocols).first }
      client = tunnel_in_process(proxy(echoing(tls: context, glued: "hello "),
                                       ca_file: authority.file))
      client.write("x" * 1_000_000)
      client.io.close_write
      expect(client.read_to_end).to eq(["hello #{"x" * 1_000_000}", :fin])
      expect(offered).to eq(["http/1.1"])
    end

    it "leads to upstreams behind a Unix socket" do
      Dir.mktmpdir do |directory|
        path = File.join(directory, "app.sock")
        upstream = echoing(socket: path)
        client = tunnel_in_process(bare(logger:, socket: path) { "http://app.test/" })
        client.write("x")
        expect(client.read_exactly(1)).to eq("x")
        upstream.stop
      end
    end

    it "is none of the upstream's max_connections" do
      upstream = echoing
      app = proxy(upstream, max_connections: 1)
      clients = Array.new(3) { tunnel_in_process(app) }
      clients.each { |client| client.write("x") }
      expect(clients.map { |client| client.read_exactly(1) }).to eq(%w[x x x])
    end

    it "is one of max_streams" do
      app = proxy(echoing, max_streams: 1)
      first = tunnel_in_process(app)
      answer, = upgrade_in_process(app)
      expect([answer.first, InProcessCalls.header_lines(answer[1])["retry-after"]])
        .to eq([503, ["1"]])
      first.io.close_write
      expect(first.read_to_end).to eq(["", :fin])
      expect_nothing_left
      tunnel_in_process(app)
    end

    it "ends for both if the upstream breaks off", id: "WS4" do
      upstream = start_upstream do |connection|
        connection.read_head
        connection.write("#{Tunnels::SWITCH % "websocket"}last")
        connection.read_exactly(2)
        connection.reset
      end
      client = tunnel_in_process(proxy(upstream))
      expect(client.read_exactly(4)).to eq("last")
      client.write("go")
      expect(client.wait_for_end).not_to be_nil
      expect_nothing_left
    end

    it "is cut at once when the process is to end, and streams are not", id: "WS8" do
      @server = start_puma(RackupText.proxy_to_ports("delivery: :hijack"))
      said = EventQueue.new("sign to go on")
      stream = ask(start_upstream do |connection|
        connection.read_head
        connection.begin_chunked
        connection.chunk("first")
        said.pop
        connection.end_chunked
      end)
      stream.read_head && stream.read_chunk
      client = tunnel(echoing)
      @server.signal("TERM")
      expect(client.wait_for_end).to eq(:reset)
      said << true
      expect(outcome(stream, begun: "first").whole).to be(true)
      expect(@server.wait(within: 20)).not_to be_nil
    end

    # docs/delivery.md: where a server keeps what it has read is known of those that it names.
    it "has what comes at the socket alone, on a server that is not known" do
      server, client = socket_pair
      client.write("handshake and early")
      lost = server.readpartial(100) # as a server reads, and keeps for itself
      upgrade_in_process(proxy(echoing), {}, server)
      client = RawClient.new(client)
      expect(client.read_head.status).to eq(101)
      client.write("later")
      expect([lost, client.read_exactly(5)]).to eq(["handshake and early", "later"])
    end

    it "leaves nothing behind when the server's socket is closed already" do
      ended = EventQueue.new("end of the upstream's connection")
      upstream = start_upstream do |connection|
        connection.read_head
        connection.write(Tunnels::SWITCH % "websocket")
        ended << connection.wait_for_end
      end
      gone = UNIXSocket.pair.each(&:close).first
      answer, = upgrade_in_process(proxy(upstream), {}, gone)
      expect([answer, ended.pop]).to eq([[200, {}, []], :fin])
      expect_nothing_left
    end

    it "is refused where what the server hands over is no socket" do
      written = StringIO.new(+"")
      def written.close; end
      upgrade_in_process(proxy(echoing), {}, written)
      expect(written.string).to start_with("HTTP/1.1 503 Service Unavailable\r\n")
      expect(written.string).to match(/retry-after: 1\r\n.*connection: close\r\n/im)
      expect_nothing_left
    end
  end
end

RSpec.describe "Upgrade through Puma" do
  include ServerCalls
  include Tunnels

  it "loses no byte behind Rack::Lint", id: "WS3" do
    @server = start_puma(RackupText.proxy_to_ports(above: "use Rack::Lint"))
    client = tunnel(echoing(glued: "from upstream "), early: "from client")
    expect(client.read_exactly(25)).to eq("from upstream from client")
  end

  it "loses no byte behind a length of 0", id: "WS3" do
    @server = start_puma(RackupText.proxy_to_ports)
    client = tunnel(echoing, { "Content-Length" => "0" }, early: "early")
    expect(client.read_exactly(5)).to eq("early")
  end

  it "gets no page of Puma's for what is raised behind it" do
    above = "use Class.new { def initialize(app) = @app = app; " \
            'def call(env) = @app.call(env).then { env["HTTP_UPGRADE"] ? raise("late") : _1 } }'
    @server = start_puma(RackupText.proxy_to_ports(above:), threads: 1)
    client = tunnel(echoing)
    connect(@server).tap { |other| other.get("/__pid") }.read_response
    client.write("x")
    client.io.close_write
    expect(client.read_to_end).to eq(["x", :fin])
  end

  it "may expect 100 Continue, which comes first", id: "WS9" do
    @server = start_puma(RackupText.proxy_to_ports)
    client = upgrade(echoing, { "Expect" => "100-continue" })
    statuses = [client.read_head.status]
    statuses << client.read_head.status if statuses == [100]
    expect(statuses.last).to eq(101)
    client.write("x")
    expect(client.read_exactly(1)).to eq("x")
  end
end
