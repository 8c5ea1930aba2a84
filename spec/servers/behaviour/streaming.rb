# frozen_string_literal: true

RSpec.shared_examples "streaming" do |profile|
  # An upstream that sends event n + 1 only when told that the client has seen event n.
  def lockstep_upstream(begin_with:, event:, finish: "")
    @sent = EventQueue.new("event of the upstream")
    @acknowledged = EventQueue.new("acknowledgement of the client")
    start_upstream do |connection|
      connection.read_head
      connection.write("HTTP/1.1 200 OK\r\n#{begin_with}\r\n")
      20.times do |number|
        @sent << Deadline.now
        connection.write(event.call(number))
        @acknowledged.pop
      end
      connection.write(finish)
    end
  end

  # @return [Array<Float>] for each event the seconds from the upstream's write to the client's read
  def gaps_of_events(client)
    Array.new(20) do |number|
      expect(client.read_chunk).to eq("event #{number};")
      gap = Deadline.now - @sent.pop
      @acknowledged << number
      gap
    end
  end

  def median(values)
    values.sort[values.size / 2]
  end

  framings = {
    "in chunks" => {
      begin_with: "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n",
      event: ->(number) { ChunkedBody.encode("event #{number};", finish: false) },
      finish: "0\r\n\r\n"
    },
    "with a length" => {
      begin_with: "Content-Type: application/octet-stream\r\nContent-Length: 170\r\n",
      event: ->(number) { "event #{number};" }
    },
    "to the end of the connection" => {
      begin_with: "Content-Type: text/plain\r\n", event: ->(number) { "event #{number};" }
    }
  }

  framings.each do |framing, script|
    if profile.can?(:live)
      it "passes events in lockstep #{framing}, without delay", id: "ST1", feature: :live do
        client = ask(lockstep_upstream(**script))
        client.read_head
        expect(median(gaps_of_events(client))).to be < 0.1
      end
    else
      it "holds events back until the upstream has sent all, #{framing}", feature: :live do
        client = ask(lockstep_upstream(**script))
        @sent.pop
        expect { client.read_head(within: 0.5) }.to raise_error(RawSocket::Expired)
        20.times { |number| @acknowledged << number }
        body = Array.new(20) { |number| "event #{number};" }.join
        expect(outcome(client)).to have_attributes(status: 200, body:, whole: true)
      end
    end
  end

  { "of unknown length" => "Transfer-Encoding: chunked", "of known length" => "Content-Length: 5" }
    .each do |length, field|
      head = "HTTP/1.1 200 OK\r\n#{field}\r\n\r\n"
      rest = field.include?("chunked") ? "5\r\nfirst\r\n0\r\n\r\n" : "first"

      it "#{profile.can?(:head) ? "sends" : "holds back"} a head before the first byte of a body " \
         "#{length}", feature: :head do
        said = EventQueue.new("sign to go on")
        upstream = start_upstream do |connection|
          connection.read_head
          connection.write(head)
          said.pop(within: 20)
          connection.write(rest)
          connection.wait_for_end
        end
        client = ask(upstream)
        if profile.can?(:head)
          expect(client.read_head.status).to eq(200)
        else
          expect { client.read_head(within: 0.5) }.to raise_error(RawSocket::Expired)
        end
        said << true
        client.read_head unless client.head
        expect(outcome(client, begun: "")).to have_attributes(body: "first", whole: true)
      end
    end
end
