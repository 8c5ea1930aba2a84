# frozen_string_literal: true

RSpec.shared_examples "HTTP/1.0" do |profile|
  answers = {
    "of known length" => "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole",
    "of unknown length" =>
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n0\r\n\r\n"
  }

  has = profile.can?(:chunks) ? "has chunks for" : "also ends its connection with"
  it "is told from 1.1, which #{has} a body of unknown length", id: "FW8", feature: :chunks do
    seen = outcome(ask(serving { answers.fetch("of unknown length") }))
    expect(seen).to have_attributes(body: "whole", whole: true)
    expect(seen.head.chunked?).to be(profile.can?(:chunks))
  end

  %w[close keep-alive].product(answers.to_a).each do |connection, (length, answer)|
    chunked = !profile.can?(:http10) && length == "of unknown length"

    it "ends a response #{length}#{" in chunks" if chunked} for a client with " \
       "Connection: #{connection}", id: "FW8", feature: :http10 do
      upstream = serving { answer }
      client = ask(upstream, "GET", { "Connection" => connection }, version: "1.0")
      seen = outcome(client)
      expect(seen).to have_attributes(status: 200, body: "whole", whole: true)
      expect(seen.head.chunked?).to be(chunked)
    end
  end
end
