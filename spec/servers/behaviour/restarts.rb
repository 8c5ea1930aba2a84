# frozen_string_literal: true

# How to restart is each server's own: its profile names the signals.
RSpec.shared_examples "restarts" do |profile|
  profile.restarts.each do |name, signal|
    it "let a stream come to its end, and then serve anew: #{name}", feature: :restart do
      @server = start_server(profile.kind, profile.rackup, **signal.options)
      restarted = @server.restart_since_now
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
      signal.send_to(@server)
      expect { client.read_chunk(within: 1) }.to raise_error(RawSocket::Expired)
      tick << "and after"
      expect(outcome(client, begun: "before")).to have_attributes(body: "beforeand after",
                                                                  whole: true)
      expect(Deadline.new(30).poll(every: 0.1, &restarted)).to be(true)
    end
  end

  unless profile.can?(:restart)
    it "mean to end it and to start it again", feature: :restart do
      @server = start_server(profile.kind, profile.rackup)
      expect(outcome(ask(serving { [200, {}, "before"] })).body).to eq("before")
      @server.signal(@server.stop_signal)
      expect(@server.wait(within: 15)).not_to be_nil
      @server = start_server(profile.kind, profile.rackup)
      expect(outcome(ask(serving { [200, {}, "anew"] })).body).to eq("anew")
    end
  end
end
