# frozen_string_literal: true

RSpec.shared_examples "leaving clients" do |profile|
  # Tells when the proxy ended the connection; the block says something first.
  def watching_upstream
    @ended = EventQueue.new("end of the upstream's connection")
    @ready = EventQueue.new("request at the upstream")
    start_upstream do |connection|
      connection.read_head
      yield connection
      @ready << true
      @ended << [connection.wait_for_end(within: 20), Deadline.now]
    end
  end

  def tick(connection)
    in_thread do
      loop do
        connection.chunk("tick")
        sleep 0.05
      end
    rescue IOError, SystemCallError
      nil
    end
  end

  # @return [Float] seconds from the client's leaving to the upstream's end
  def seconds_until_ended
    left = Deadline.now
    yield
    how, moment = @ended.pop(within: 10)
    expect(how).not_to be_nil
    moment - left
  end

  moments = {
    "before the head" => ->(_connection) {},
    "after a head without body" => lambda { |connection|
      connection.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
    },
    "in the middle of a silent body" => lambda { |connection|
      connection.begin_chunked
      connection.chunk("x")
    }
  }

  %i[close reset].each do |leaving|
    if profile.can?(:client_gone)
      moments.each do |moment, script|
        it "are noticed at once #{moment} (#{leaving})", id: "ST4", feature: :client_gone do
          client = ask(watching_upstream(&script))
          @ready.pop
          client.read_head if moment.include?("body")
          expect(seconds_until_ended { client.public_send(leaving) }).to be < 5
        end
      end
    else
      it "are not noticed while the upstream is silent (#{leaving})", feature: :client_gone do
        client = ask(watching_upstream(&moments.fetch("in the middle of a silent body")))
        @ready.pop
        client.public_send(leaving)
        expect { @ended.pop(within: 1) }.to raise_error(RawSocket::Expired)
      end
    end

    it "are noticed while the body goes on (#{leaving})", id: "ST4" do
      client = ask(watching_upstream { |connection| tick(connection.tap(&:begin_chunked)) })
      @ready.pop
      client.read_head
      expect(seconds_until_ended { client.public_send(leaving) }).to be < 5
    end
  end

  it "leave nothing behind, and the server serving" do
    client = ask(watching_upstream { |connection| tick(connection.tap(&:begin_chunked)) })
    @ready.pop
    client.close
    @ended.pop(within: 10)
    expect(Deadline.new(10).poll { @server.stats[:exchanges].zero? }).to be(true)
  end
end
