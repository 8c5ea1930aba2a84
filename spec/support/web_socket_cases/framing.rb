# frozen_string_literal: true

module WebSocketCases
  # Single frames.
  module Framing
    include Writing

    SIZES = [0, 125, 126, 127, 128, 65_535, 65_536].freeze
    private_constant :SIZES

    def framing
      cases = {}
      %i[text binary].product(SIZES) do |opcode, size|
        cases["#{opcode} of #{size} bytes"] = echo(opcode, payload(opcode, size))
      end
      { 128 => 1, 65_536 => 997 }.each do |size, piece|
        text = payload(:text, size)
        cases["text of #{size} bytes in writes of #{piece}"] =
          talk([[frame(:text, text), piece]], [[:text, text]])
      end
      cases
    end

    PINGS = Array.new(10) { |number| "ping #{number}" }.freeze
    private_constant :PINGS

    def pings
      cases = ["", "Hello", "\x00\xFF\xFE\xFD\xFC\xFB\x00\xFF".b, "\xFE" * 125].to_h do |text|
        ["a ping of #{text.bytesize} bytes", talk([frame(:ping, text)], [[:pong, text]])]
      end
      cases.merge(
        "a ping of 126 bytes" => refusal([frame(:ping, "x" * 126)]),
        "a ping in writes of one" => talk([[frame(:ping, "x" * 125), 1]], [[:pong, "x" * 125]]),
        "pongs that nobody asked for" => talk([frame(:pong), frame(:pong, "x")], []),
        "a pong, then a ping" => talk([frame(:pong, "x"), frame(:ping, "y")], [[:pong, "y"]]),
        **many_pings
      )
    end

    def many_pings
      sent = PINGS.map { |text| frame(:ping, text) }
      answers = PINGS.map { |text| [:pong, text] }
      { "ten pings" => talk(sent, answers),
        "ten pings in writes of one" => talk([[sent.join, 1]], answers) }
    end

    def reserved_bits
      hello = frame(:text, "Hello")
      cases = (1..7).to_h do |rsv|
        ["#{rsv} behind a text", refusal([hello, frame(:text, "x", rsv:)], [[:text, "Hello"]])]
      end
      %i[binary ping close].each { |one| cases["#{one} with 7"] = refusal([frame(one, rsv: 7)]) }
      cases["4 in writes of one"] = refusal([[hello + frame(:text, "x", rsv: 4), 1]],
                                            [[:text, "Hello"]])
      cases
    end

    def opcodes
      [*3..7, *11..15].each_with_object({}) do |opcode, cases|
        cases["#{opcode} without a payload"] = refusal([frame(opcode)])
        cases["#{opcode} behind a text"] =
          refusal([[frame(:text, "Hello") + frame(opcode, "x"), opcode.odd? ? 1 : 64]],
                  [[:text, "Hello"]])
      end
    end
  end
end
