# frozen_string_literal: true

module WebSocketCases
  # Ends of all kinds.
  module Closing
    include Writing

    GOOD_CODES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000,
                  4999].freeze
    BAD_CODES = [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65_535].freeze
    private_constant :GOOD_CODES, :BAD_CODES

    # The client closes, and goes on: nothing of it is read.
    def closed(*sends, code: 1000)
      refusal(sends, code:)
    end

    def closing
      good = GOOD_CODES.to_h { |code| ["code #{code}", closed(close(code), code:)] }
      bad = BAD_CODES.to_h do |code|
        ["code #{code}, which is none", closed(close(code), code: 1002)]
      end
      { **good, **bad, **payloads, **what_follows, **one_sided_ends }
    end

    def payloads
      {
        "without a code" => closed(frame(:close)),
        "half a code" => closed(frame(:close, "\x03"), code: 1002),
        "a reason" => closed(close(1000, "Hello World!")),
        "a reason of 123 bytes" => closed(close(1000, "*" * 123)),
        "a reason of 124 bytes" => closed(close(1000, "*" * 124), code: 1002),
        "a reason that is no UTF-8" => closed(close(1000, "\xED\xA0\x80"), code: 1002),
        "in writes of one" => closed([close(1001, "going"), 1], code: 1001)
      }
    end

    def what_follows
      two = fragments(:text, "frag1", "frag2")
      {
        "twice" => closed(close, close),
        "then a ping" => closed(close, frame(:ping, "x")),
        "between fragments" => closed(two[0], close, two[1]),
        "then 256 KiB" => closed(close, frame(:binary, "x" * 262_144))
      }
    end

    # Without a close frame of one side, or of both.
    def one_sided_ends
      hello = frame(:text, "Hello")
      {
        "a client's FIN instead" => ended([hello, :fin], [[:text, "Hello"]]),
        "a client's FIN within a frame" => ended([hello, hello[0, 5], :fin], [[:text, "Hello"]]),
        "a client's FIN behind it" => ended([hello, close, :fin], [[:text, "Hello"], CLOSED]),
        "a server that closes" => ended([hello, close(3000)], [[:close, 3000]], path: "/closing"),
        "a server that leaves" => ended([hello], [], path: "/leaving"),
        "a server that resets" => ended([hello], [], path: "/resetting", ending: :reset)
      }
    end
  end
end
