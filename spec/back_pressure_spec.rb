# frozen_string_literal: true

RSpec.describe "Back-pressure" do
  mib = 1024 * 1024

  # The value when it has not changed for half a second.
  def settled
    value = nil
    same_since = Deadline.now
    Deadline.new(20).poll(every: 0.05) do
      latest = yield
      same_since = Deadline.now if latest != value
      value = latest
      Deadline.now - same_since > 0.5
    end
    value
  end

  context "when the client stops reading" do
    # Sends without end, and tells how much went before nobody took more.
    def flooding_upstream(sent)
      start_upstream do |connection|
        connection.read_head
        connection.write("HTTP/1.1 200 OK\r\nContent-Length: #{1 << 40}\r\n\r\n")
        sent << connection.write_until_blocked(limit: 512 << 20)
        connection.wait_for_end(within: 10)
      end
    end

    %i[puma unicorn].each do |kind|
      it "stops the upstream on #{kind}, and the gem holds at most 1 MiB", id: "ST7" do
        sent = EventQueue.new("count of the upstream")
        upstream = flooding_upstream(sent)
        server = start_server(kind, RackupText.proxy, env: { "UPSTREAM" => upstream.url("") })
        client = connect(server)
        client.get
        client.read_head
        total = sent.pop(within: 20)
        passed = client.received + ProcessFacts.queued_from(server.port)
        expect(total - ProcessFacts.queued_from(upstream.port) - passed).to be <= mib
        expect(total - passed).to be <= (8 * mib) + ProcessFacts.queued_from(upstream.port)
      end
    end

    it "holds at most 1 MiB when nobody calls each", id: "ST7" do
      sent = EventQueue.new("count of the upstream")
      upstream = flooding_upstream(sent)
      _, _, body = bare { upstream.url }.call(env_for)
      expect(sent.pop(within: 20) - ProcessFacts.queued_from(upstream.port)).to be <= mib
      body.close
    end

    it "takes up again where it stopped, and loses nothing" do
      size = 64 * mib
      upstream = start_upstream do |connection|
        connection.read_head
        connection.write("HTTP/1.1 200 OK\r\nContent-Length: #{size}\r\n\r\n")
        64.times { |number| connection.write(number.chr * mib) }
        connection.wait_for_end(within: 10)
      end
      _, _, body = bare(idle_timeout: 2) { upstream.url }.call(env_for)
      sleep 2.5 # longer than idle_timeout, which pauses while our own queue is full
      text = read(body)
      expect(text.bytesize).to eq(size)
      expect(Array.new(64) { |number| text.byteslice(number * mib, mib) == number.chr * mib })
        .to all(be(true))
    end
  end

  context "when the upstream never reads" do
    # An endless input that counts what is taken from it.
    let(:input) do
      Class.new do
        attr_reader :taken

        def initialize
          @taken = 0
        end

        def read(length = 16_384, buffer = +"")
          @taken += length
          buffer.replace("i" * length)
        end
      end.new
    end

    it "takes at most 1 MiB beyond socket buffers from the input", id: "ST7" do
      upstream = start_upstream do |connection|
        connection.read_head
        sleep # never reads on; ends with the upstream
      end
      env = env_for("/", method: "POST").except("CONTENT_LENGTH")
      env.merge!("rack.input" => input, "HTTP_TRANSFER_ENCODING" => "chunked")
      caller = in_thread { bare { upstream.url }.call(env) }
      connection = upstream.wait_for_connection
      taken = settled { input.taken }
      expect(taken - connection.received - ProcessFacts.queued_to(upstream.port)).to be <= mib
      expect(caller).to be_alive
    end
  end
end
