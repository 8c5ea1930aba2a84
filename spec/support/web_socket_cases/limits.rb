# frozen_string_literal: true

require "zlib"

module WebSocketCases
  # Large messages, many, and compressed ones.
  module Limits
    include Writing

    DEFLATE = { "Sec-WebSocket-Extensions" => "permessage-deflate; client_max_window_bits" }.freeze
    private_constant :DEFLATE

    def limits
      cases = {}
      %i[text binary].product([1 << 18, 1 << 20, 16 << 20]) do |opcode, size|
        cases["#{opcode} of #{size} bytes"] = -> { echo(opcode, payload(opcode, size)) }
      end
      [0, 16, 256].each do |size|
        many = frame(:text, "x" * size) * 1000
        cases["a thousand messages of #{size} bytes"] =
          -> { talk([many], [[:text, "x" * size]] * 1000) }
      end
      cases.merge(limits_in_pieces)
    end

    def limits_in_pieces
      text = payload(:text, 1 << 20)
      {
        "text of 1 MiB in fragments" =>
          -> { talk(fragments(:text, *text.scan(/.{65536}/)), [[:text, text]]) },
        "text of 1 MiB in writes of 1300" =>
          -> { talk([[frame(:text, text), 1300]], [[:text, text]]) },
        "more than the server takes" =>
          -> { refusal([[0x82, 0xFF, (16 << 20) + 1].pack("CCQ>")], code: 1009) }
      }
    end

    # What compresses well, little and not at all; the frames of the server are compressed, too.
    def compression
      texts = { "much" => "compress " * 8000, "little" => "x", "nothing" => "" }
      cases = texts.transform_values { |text| deflated(fragments(:text, deflate(text)), text) }
      large = deflate(texts["much"])
      cases.merge(
        "fragments" => deflated(fragments(:text, large[0, 9], large[9..]), texts["much"]),
        "a message that is not" => deflated([frame(:text, "plain")], "plain", rsv: 0),
        "what is no deflate" => refusal([frame(:text, "\xFF\xFF\xFF", rsv: 4)], code: 1010,
                                                                                headers: DEFLATE),
        "a ping with the bit" => refusal([frame(:ping, "x", rsv: 4)], headers: DEFLATE)
      )
    end

    def deflated(frames, text, rsv: 4)
      first = frames.first.b.tap { |one| one.setbyte(0, one.getbyte(0) | (rsv << 4)) }
      talk([first, *frames.drop(1)], [[:text, deflate(text)]], headers: DEFLATE)
    end

    def deflate(text)
      deflater = Zlib::Deflate.new(Zlib::DEFAULT_COMPRESSION, -Zlib::MAX_WBITS)
      deflater.deflate(text, Zlib::SYNC_FLUSH).delete_suffix("\x00\x00\xFF\xFF".b)
    end
  end
end
