# frozen_string_literal: true

# Who is held by a stream: nobody, where the server hands its client's socket over.
RSpec.shared_examples "delivery" do |profile|
  chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

  def endless_upstream
    start_upstream do |connection|
      connection.read_head
      connection.begin_chunked
      connection.chunk("tick") until connection.wait_for_end(within: 0.1)
    rescue SystemCallError
      nil # The client has left.
    end
  end

  def fetch_pid(within: 10)
    RawClient.open(@server.address) do |client|
      client.get("/__pid", { "Connection" => "close" })
      client.read_response(within:).body
    end
  end

  if profile.can?(:hijack)
    once do
      rackup = profile.delivering(:hijack).rackup
      @server = start_server(profile.kind, rackup, **profile.server.single)
    end

    it "leaves the only worker to others while ten streams go on", feature: :hijack do
      upstream = endless_upstream
      streams = Array.new(10) { ask(upstream).tap(&:read_head) }
      5.times do
        expect(fetch_pid).to match(/\A\d+\z/)
        expect(streams.map(&:read_chunk)).to all(match(/\A(tick)+\z/))
      end
      streams.each(&:close)
      expect(Deadline.new(10).poll { @server.stats[:exchanges].zero? }).to be(true)
    end

    it "mistakes nothing for what a client sends behind its request, and loses nothing to it" do
      upstream = serving { |request| [200, {}, request.head.target * 200_000] }
      client = connect(@server)
      %w[a b].each do |name|
        client.get("/#{upstream.port}/#{name}", name == "b" ? { "Connection" => "close" } : {})
      end
      seen = outcome(client)
      expect([seen.whole, seen.body.bytesize, seen.body.delete("/a")]).to eq([true, 400_000, ""])
      # Passenger's core has read all of the response, and goes on with the connection.
      expect(client.read_to_end.first).to eq("").or match(%r{\AHTTP/1\.1 200.*\r\n\r\n(/b)+\z}m)
    end
  else
    it "is the server's own way, as the log says once", feature: :hijack do
      @server = start_server(profile.kind, profile.delivering(:hijack).rackup)
      upstream = serving { "#{chunked}4\r\ntext\r\n0\r\n\r\n" }
      2.times { expect(outcome(ask(upstream))).to have_attributes(body: "text", whole: true) }
      expect(@server.output.to_s.scan(/delivery: .*threads/).size).to eq(1)
    end
  end
end
