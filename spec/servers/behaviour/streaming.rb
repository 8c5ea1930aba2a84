# frozen_string_literal: true

RSpec.shared_examples "streaming" do |_profile|
  include Lockstep

  Lockstep::FRAMINGS.each_key do |framing|
    it "passes events in lockstep #{framing}, without delay", id: "ST1", feature: :live do
      client = ask(lockstep_upstream(framing))
      client.read_head
      expect(median(gaps_of_events(client))).to be < 0.1
    end
  end

  def median(values)
    values.sort[values.size / 2]
  end

  { "of unknown length" => "Transfer-Encoding: chunked", "of known length" => "Content-Length: 5" }
    .each do |length, field|
      head = "HTTP/1.1 200 OK\r\n#{field}\r\n\r\n"
      rest = field.include?("chunked") ? "5\r\nfirst\r\n0\r\n\r\n" : "first"

      it "sends a head before the first byte of a body #{length}", feature: :head do
        said = EventQueue.new("sign to go on")
        upstream = start_upstream do |connection|
          connection.read_head
          connection.write(head)
          said.pop(within: 20)
          connection.write(rest)
          connection.wait_for_end
        end
        client = ask(upstream)
        expect(client.read_head.status).to eq(200)
        said << true
        expect(outcome(client, begun: "")).to have_attributes(body: "first", whole: true)
      end
    end
end
