# frozen_string_literal: true

# Requests that ask for another protocol.
RSpec.shared_examples "upgrades" do |profile|
  include Tunnels

  if profile.can?(:tunnel)
    it "become tunnels once the upstream has agreed", id: "WS1", feature: :tunnel do
      client = tunnel(echoing(more: "Sec-WebSocket-Accept: wrong\r\n"))
      expect(client.head["upgrade"]).to eq("websocket")
      expect(client.head["connection"]).to match(/\Aupgrade\z/i)
      expect(client.head["sec-websocket-accept"]).to eq("wrong")
      client.write("ping")
      expect(client.read_exactly(4)).to eq("ping")
    end

    it "send up nothing of what follows them before the 101", id: "WS2", feature: :tunnel do
      agreed = EventQueue.new("agreement")
      early = nil
      upstream = start_upstream do |connection|
        connection.read_head
        agreed.pop
        early = connection.io.read_nonblock(100, exception: false)
        connection.write(Tunnels::SWITCH % "websocket")
        connection.write(connection.read_exactly(10))
      end
      client = upgrade(upstream, early: "early")
      upstream.wait_for_request
      client.write("later")
      agreed << true
      expect(client.read_head.status).to eq(101)
      expect(client.read_exactly(10)).to eq("earlylater")
      expect(early).to eq(:wait_readable)
    end

    it "lose no bytes that are glued to either handshake", id: "WS3", feature: :tunnel do
      client = tunnel(echoing(glued: "from upstream "), early: "from client")
      expect(client.read_exactly(25)).to eq("from upstream from client")
    end

    it "pass on the end of a direction, and go on with the other", id: "WS4", feature: :tunnel do
      upstream = start_upstream do |connection|
        connection.read_head
        connection.write(Tunnels::SWITCH % "websocket")
        heard, how = connection.read_to_end
        connection.write("heard #{heard}, then #{how}")
      end
      client = tunnel(upstream)
      client.write("bye")
      client.io.close_write
      expect(client.read_to_end).to eq(["heard bye, then fin", :fin])
    end

    it "end with a client that leaves", id: "WS5", feature: :tunnel do
      ended = EventQueue.new("end of the upstream's connection")
      upstream = start_upstream do |connection|
        connection.read_head
        connection.write(Tunnels::SWITCH % "websocket")
        ended << connection.wait_for_end
      end
      tunnel(upstream).reset
      expect(ended.pop).not_to be_nil
    end

    it "carry 16 MiB in both directions at once", id: "WS6", feature: :tunnel do
      client = tunnel(echoing)
      block = Random.bytes(65_536)
      writing = in_thread { 256.times { client.write(block) } }
      256.times { expect(client.read_exactly(65_536) == block).to be(true) }
      writing.join
    end

    unless profile.limits.key?(:tunnel)
      it("do not hold what serves requests", feature: :tunnel) { expect_tunnels_beside_requests }
    end
  else
    it "go up as requests of HTTP", feature: :tunnel do
      upstream = serving { |request| [200, {}, request.head.names.sort.join(" ")] }
      expect(upgrade(upstream).read_response.body).not_to include("upgrade", "connection")
    end
  end

  it "are answered as any request is by an upstream that does not agree", id: "WS1" do
    upstream = serving { |request| [200, {}, request.head["upgrade"].to_s] }
    asked = profile.can?(:tunnel) ? "websocket" : ""
    expect(outcome(upgrade(upstream))).to have_attributes(status: 200, body: asked, whole: true)
  end

  it "are nothing that an upstream may change to unasked", id: "WS1" do
    upstream = start_upstream do |connection|
      connection.read_head
      connection.write(Tunnels::SWITCH % "websocket")
      connection.wait_for_end
    end
    expect(outcome(ask(upstream)).status).to eq(502)
  end
end
