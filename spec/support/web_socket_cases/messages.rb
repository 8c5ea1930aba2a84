# frozen_string_literal: true

module WebSocketCases
  # What frames make up.
  module Messages
    include Writing

    def fragmentation
      two = fragments(:text, "frag1", "frag2")
      whole = [:text, "frag1frag2"]
      between = [two[0], frame(:ping, "ping"), two[1]]
      {
        "two fragments" => talk(two, [whole]),
        "two fragments in writes of one" => talk([[two.join, 1]], [whole]),
        "fragments of nothing" => talk(fragments(:text, "", "", ""), [[:text, ""]]),
        "one of nothing" => talk(fragments(:binary, "", "mid", ""), [[:binary, "mid"]]),
        "a hundred" => talk(fragments(:binary, *["x" * 700] * 100), [[:binary, "x" * 70_000]]),
        "a ping between two" => talk(between, [[:pong, "ping"], whole]),
        "a ping between two, in writes of one" =>
          talk([[between.join, 1]], [[:pong, "ping"], whole]),
        "a pong between two" => talk(between.dup.tap { _1[1] = frame(:pong) }, [whole]),
        **forbidden_fragments(two)
      }
    end

    def forbidden_fragments(two)
      {
        "of a ping" => refusal(fragments(:ping, "a", "b")),
        "of a pong" => refusal(fragments(:pong, "a", "b")),
        "of a close" => refusal(fragments(:close, "", "")),
        "a continuation of nothing" => refusal([frame(:continuation, "x")]),
        "a continuation of nothing, of more" => refusal([frame(:continuation, "x", fin: false)]),
        "a continuation behind a message" => refusal([*two, two[1]], [[:text, "frag1frag2"]]),
        "a text within a text" => refusal([two[0], frame(:text, "x")]),
        "a binary within a text" => refusal([two[0], frame(:binary, "x")])
      }
    end

    VALID = ["Hello-\u00B5@\u00DF\u00F6\u00E4\u00FC\u00E0\u00E1-UTF-8!!",
             "\u03BA\u1F79\u03C3\u03BC\u03B5", "\u0000", "\u0080", "\u0800", "\u{10000}",
             "\u007F", "\u07FF", "\uFFFF", "\u{10FFFF}", "\uD7FF\uE000\uFFFD",
             "\uFFFE\u{1FFFE}"].freeze
    INVALID = ["\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5\xED\xA0\x80edited", "\x80", "\xBF",
               "\x80\xBF\x80", "\xC0 \xC1", "\xF5 \xFF", "\xC0",
               "\xE0\x80", "\xF0\x80\x80", "\xFE", "\xFF\xFE", "\xC0\xAF", "\xE0\x80\xAF",
               "\xF0\x80\x80\xAF", "\xC1\xBF", "\xE0\x9F\xBF", "\xF4\x90\x80\x80",
               "\xED\xA0\x80", "\xED\xAD\xBF\xED\xBE\x80", "\xF8\x88\x80\x80\x80"].freeze
    private_constant :VALID, :INVALID

    def utf8
      { true => VALID, false => INVALID }.each_with_object({}) do |(valid, texts), cases|
        texts.each do |text|
          name = "#{valid ? "valid" : "invalid"} #{text.unpack1("H*")}"
          ways_of(text.b).each do |way, sends|
            cases["#{name} #{way}"] =
              valid ? talk(sends, [[:text, text.b]]) : refusal(sends, code: 1007)
          end
        end
      end
    end

    def ways_of(text)
      { "whole" => [frame(:text, text)], "in fragments of one" => fragments(:text, *text.chars),
        "in writes of one" => [[frame(:text, text), 1]] }
    end

    def miscellaneous
      text = payload(:text, 65_536)
      welcome = [[:text, "welcome"], [:ping, "still there?"]]
      pong = frame(:pong, "still there?")
      {
        "fragments of 1300 bytes" =>
          talk(fragments(:text, *text.scan(/.{1,1300}/)), [[:text, text]]),
        "frames glued to the handshake" => echo(:text, "early", glued: true),
        "64 KiB glued to the handshake" => echo(:text, text, glued: true),
        "a server that speaks first" => talk([pong], welcome, path: "/greeting"),
        "both at once" => talk([frame(:text, "early"), pong], [*welcome, [:text, "early"]],
                               path: "/greeting", glued: true),
        "a protocol that is chosen" =>
          echo(:text, "x", headers: { "Sec-WebSocket-Protocol" => "other, chat" }),
        "no protocol that both know" =>
          echo(:text, "x", headers: { "Sec-WebSocket-Protocol" => "other" })
      }
    end
  end
end
