# frozen_string_literal: true

RSpec.shared_examples "shutdown" do |profile|
  before { @server = start_server(profile.kind, profile.rackup) }

  # An upstream that sends a first chunk, and another whenever it is told to.
  def open_stream
    @tick = EventQueue.new("sign to tick")
    upstream = start_upstream do |connection|
      connection.read_head
      connection.begin_chunked
      connection.chunk("first")
      while (tick = @tick.pop(within: 30)) != :end
        connection.chunk(tick)
      end
      connection.end_chunked
      connection.wait_for_end
    end
    ask(upstream).tap { |client| upstream.wait_for_request && begin_reading(client) }
  end

  # An upstream that tells when an upload's first piece has come, and sends all back at its end.
  def returning_upstream
    @came = EventQueue.new("first piece at the upstream")
    start_upstream do |connection|
      connection.read_head
      body = +""
      until (size = connection.read_until("\r\n").hex).zero?
        @came << (body << connection.read_exactly(size))
        connection.read_exactly(2)
      end
      connection.read_exactly(2)
      connection.respond(200, {}, body)
    end
  end

  def begin_reading(client)
    client.read_head
    expect(client.read_chunk).to eq("first")
  end

  if profile.can?(:shutdown)
    it "lets a stream come to its end, and then ends", feature: :shutdown do
      client = open_stream
      @server.signal(@server.stop_signal)
      expect(@server.wait(within: 1)).to be_nil
      @tick << "after the signal" << :end
      expect(outcome(client, begun: "first")).to have_attributes(body: "firstafter the signal",
                                                                 whole: true)
      expect(@server.wait(within: 15)).not_to be_nil
    end

    if profile.can?(:live_uploads, "in chunks")
      it "lets an upload come to its end, and then ends", feature: :shutdown do
        upstream = returning_upstream
        client = ask(upstream, "POST", { "Transfer-Encoding" => "chunked" })
        client.write(ChunkedBody.encode("first", finish: false))
        @came.pop(within: 10)
        @server.signal(@server.stop_signal)
        expect(@server.wait(within: 1)).to be_nil
        client.write(ChunkedBody.encode("after the signal"))
        expect(outcome(client)).to have_attributes(status: 200, body: "firstafter the signal",
                                                   whole: true)
        expect(@server.wait(within: 15)).not_to be_nil
      end
    end
  else
    it "cuts a stream, and shows it", feature: :shutdown do
      client = open_stream
      @server.signal(@server.stop_signal)
      seen = outcome(client, begun: "first")
      expect(seen.whole && seen.status < 500).to be_falsey
      expect(@server.wait(within: 15)).not_to be_nil
    end
  end

  it "leaves no process" do
    family = [@server.pid, *@server.family]
    @server.signal(@server.stop_signal)
    expect(@server.wait(within: 15)).not_to be_nil
    expect(Deadline.new(10).poll { family.none? { |pid| ProcessFacts.alive?(pid) } }).to be(true)
  end
end
