# frozen_string_literal: true

# How to restart is each server's own: its profile names the ways.
RSpec.shared_examples "restarts" do |profile|
  def boot
    client = connect(@server)
    client.get("/__boot", { "Connection" => "close" })
    client.read_response.body
  rescue SystemCallError, RawSocket::Ended
    nil
  ensure
    client&.close
  end

  profile.restarts.each do |name, (options, restart)|
    it "let a stream come to its end, and then serve anew: #{name}", feature: :restart do
      @server = start_server(profile.kind, RackupText.proxy_to_ports, **options)
      before = boot
      tick = EventQueue.new("sign to tick")
      upstream = start_upstream do |connection|
        connection.read_head
        connection.begin_chunked
        connection.chunk("before")
        connection.chunk(tick.pop(within: 30))
        connection.end_chunked
      end
      client = ask(upstream)
      client.read_head
      expect(client.read_chunk).to eq("before")
      restart.call(@server)
      expect { client.read_chunk(within: 1) }.to raise_error(RawSocket::Expired)
      tick << "and after"
      expect(outcome(client, begun: "before")).to have_attributes(body: "beforeand after",
                                                                  whole: true)
      expect(Deadline.new(30).poll(every: 0.1) { ![nil, before].include?(boot) }).to be(true)
    end
  end

  unless profile.can?(:restart)
    it "mean to end it and to start it again", feature: :restart do
      @server = start_server(profile.kind, RackupText.proxy_to_ports)
      before = boot
      @server.signal(@server.stop_signal)
      expect(@server.wait(within: 15)).not_to be_nil
      @server = start_server(profile.kind, RackupText.proxy_to_ports)
      expect(boot).not_to eq(before)
    end
  end
end
