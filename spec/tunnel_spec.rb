# frozen_string_literal: true

RSpec.describe Rack::StreamingProxy::Proxy, "and requests to upgrade" do
  include ServerCalls
  include Tunnels
  include TlsPeers

  let(:logger) { InProcessCalls::RecordingLogger.new }

  def proxy(upstream, **settings)
    bare(logger:, **settings) { upstream.url("/path") }
  end

  # What of an upgrade goes up, by an upstream that does not agree to it.
  # @return [Array<String, nil>] Upgrade and Connection
  def asked(env = {}, settings = {})
    upstream = serving { [200, {}, ""] }
    answer, = upgrade_in_process(proxy(upstream, **settings), env)
    expect(read(answer.last)).to eq("")
    upstream.wait_for_request.then { |head| [head["upgrade"], head["connection"]] }
  end

  def idle?
    stats = Rack::StreamingProxy.stats
    stats.values_at(:exchanges, :streams, :connections).sum == stats[:idle_connections]
  end

  def expect_nothing_left
    expect(Deadline.new(10).poll { idle? }).to be(true)
  end

  describe "what is asked for" do
    { "websocket" => "websocket",
      "WebSocket" => "WebSocket",
      "websocket, h2c" => "websocket",
      "a/1.0,websocket" => "a/1.0, websocket" }.each do |sent, passed|
      it "is #{passed} of #{sent}", id: "WS7" do
        expect(asked("HTTP_UPGRADE" => sent)).to eq([passed, "upgrade"])
      end
    end

    ["h2c", "H2C", "TLS/1.0", "TLS/1, HTTP/1.1", "HTTP/2.0", "a b", "a/", "", "\xFF"].each do |sent|
      it "is nothing of #{sent.inspect}", id: "WS7" do
        expect(asked("HTTP_UPGRADE" => sent)).to eq([nil, nil])
      end
    end

    it "is nothing where Connection does not list it", id: "HH2" do
      expect(asked("HTTP_CONNECTION" => "keep-alive, \xFF")).to eq([nil, nil])
    end

    it "is nothing of a client of HTTP/1.0" do
      expect(asked("SERVER_PROTOCOL" => "HTTP/1.0")).to eq([nil, nil])
    end

    it "is nothing of a request with a body", id: "WS2" do
      expect(asked(method: "POST", input: "body")).to eq([nil, nil])
    end

    it "is nothing where an upstream is known to speak HTTP/2" do
      upstream = start_upstream(&:read_some)
      answer, = upgrade_in_process(proxy(upstream, http2: :always))
      expect(answer.first).to eq(502)
    end

    it "is what allow_upgrade has" do
      expect(asked({}, { allow_upgrade: ["websocket"] })).to eq(%w[websocket upgrade])
      expect(asked({ "HTTP_UPGRADE" => "other, websocket/13" }, { allow_upgrade: ["WebSocket"] }))
        .to eq(["websocket/13", "upgrade"])
      expect(asked({}, { allow_upgrade: ["other"] })).to eq([nil, nil])
      expect(asked({}, { allow_upgrade: false })).to eq([nil, nil])
    end

    it "is nothing where Puma ends TLS itself" do
      secure = Struct.new(:to_io).new(socket_pair.first)
      env = { "HTTP_HOST" => "front.test" }
      expect(asked({ **env, "puma.socket" => secure })).to eq([nil, nil])
      expect(asked({ **env, "puma.socket" => secure.to_io })).to eq(%w[websocket upgrade])
    end

    it "is nothing where the server hands nothing over, which is said once" do
      Rack::StreamingProxy::Notice.forget
      2.times { expect(asked("rack.hijack?" => nil)).to eq([nil, nil]) }
      expect(logger.lines.grep(/without Upgrade/).size).to eq(1)
    end
  end

  describe "the request" do
    it "goes up with the fields of any other, whatever the settings are" do
      upstream = echoing
      tunnel_in_process(proxy(upstream, headers: { "X-Set" => "yes" }, x_forwarded: :replace),
                        "HTTP_SEC_WEBSOCKET_KEY" => "dGhlIHNhbXBsZSBub25jZQ==",
                        "HTTP_X_FORWARDED_FOR" => "1.1.1.1", "REMOTE_ADDR" => "9.9.9.9",
                        "HTTP_ORIGIN" => "http://front.test")
      head = upstream.wait_for_request
      expect(%w[x-set x-forwarded-for via origin sec-websocket-key].map { |name| head[name] })
        .to eq(["yes", "9.9.9.9", "1.1 rack-streaming-proxy", "http://front.test",
                "dGhlIHNhbXBsZSBub25jZQ=="])
      expect(head.names & %w[content-length transfer-encoding]).to eq([])
    end

    it "goes to no destination that is not allowed" do
      upstream = echoing
      answer, = upgrade_in_process(proxy(upstream, allow_destinations: :public))
      expect([answer.first, upstream.connections]).to eq([502, []])
    end

    it "is a loop like any other", id: "FW7" do
      answer, = upgrade_in_process(proxy(echoing, max_hops: 0),
                                   "HTTP_VIA" => "1.1 rack-streaming-proxy")
      expect(answer.first).to eq(508)
    end

    it "is answered 504 if nothing comes" do
      upstream = start_upstream(&:wait_for_end)
      answer, = upgrade_in_process(proxy(upstream, timeout: 0.2))
      expect(answer.first).to eq(504)
    end

    it "is asked again after a 5xx" do
      statuses = [503]
      upstream = start_upstream do |connection|
        connection.read_head
        statuses.pop&.then { |status| connection.respond(status) } ||
          connection.write(Tunnels::SWITCH % "websocket")
        connection.read_head && connection.write(Tunnels::SWITCH % "websocket")
      end
      tunnel_in_process(proxy(upstream, num_retries_on_5xx: 1, retry_delay: 0))
      expect(upstream.requests.size).to eq(2)
    end
  end

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

  describe "what is told of it" do
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

    it "is an error of the request if the head is none" do
      upstream = start_upstream { |connection| connection.write("no head\r\n\r\n") }
      upgrade_in_process(proxy(upstream))
      expect(told).to include(status: 502, delivery: :body)
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
