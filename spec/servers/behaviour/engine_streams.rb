# frozen_string_literal: true

# What becomes of a stream that the engine writes, if the server can hand a socket over, when the
# server gets one of its signals.
RSpec.shared_examples "engine's streams" do |profile|
  profile.signals.each do |name, signal|
    cut = signal.cuts? || signal.cuts_engine?

    it "#{cut ? "are cut, to be seen" : "come to their end"}: #{name}", time_limit: 120 do
      @server = start_server(profile.kind, RackupText.proxy_to_ports("delivery: :hijack"),
                             **signal.options)
      client = stream_begun
      # On Falcon an interrupt would else come into the very hand-over.
      restarted = @server.restart_since_now
      signal.send_to(@server)
      cut ? expect_cut(client) : expect_whole(client)
      signal.await(@server)
      case signal.effect
      when :restart then expect(Deadline.new(40).poll(every: 0.1, &restarted)).to be(true)
      when :stop, :drain then expect(@server.wait(within: 40)).not_to be_nil
      end
    end
  end

  def stream_begun
    @tick = EventQueue.new("sign to tick")
    upstream = start_upstream do |connection|
      connection.read_head
      connection.begin_chunked
      connection.chunk("before")
      connection.chunk(@tick.pop(within: 30))
      connection.end_chunked
    end
    ask(upstream).tap do |client|
      head = client.read_head(within: 20)
      expect(head.chunked? ? client.read_chunk : client.read_exactly(6)).to eq("before")
    end
  end

  def expect_whole(client)
    expect { client.read_chunk(within: 1) }.to raise_error(RawSocket::Expired)
    @tick << "and after"
    expect(outcome(client, begun: "before")).to have_attributes(body: "beforeand after",
                                                                whole: true)
  end

  def expect_cut(client)
    expect(outcome(client, begun: "before")).to have_attributes(body: "before", whole: false)
  end
end
