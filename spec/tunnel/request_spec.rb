# frozen_string_literal: true

RSpec.describe Rack::StreamingProxy::UpgradeField do
  include Tunnels

  # What of an upgrade goes up, by an upstream that does not agree to it.
  # @return [Array<String, nil>] Upgrade and Connection
  def asked(env = {}, settings = {})
    upstream = serving { [200, {}, ""] }
    answer, = upgrade_in_process(proxy(upstream, **settings), env)
    expect(read(answer.last)).to eq("")
    upstream.wait_for_request.then { |head| [head["upgrade"], head["connection"]] }
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
end
