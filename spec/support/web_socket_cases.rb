# frozen_string_literal: true

require_relative "web_socket_frames"

# What WebSocket clients send, in the categories of the Autobahn suite, and what the server of
# launchers/websocket.rb answers: the sizes of the larger categories are fewer here.
module WebSocketCases
  # @!attribute sends [Array<String, Array(String, Integer), Symbol>] bytes; bytes and the size of
  #   the writes that they go in; or :fin, which ends the client's direction
  # @!attribute answers [Array<Array(Symbol, String or Integer)>] the frames that are to come: what
  #   each is, and its payload, of a close frame its code
  # @!attribute path [String] of the request, see the server's
  # @!attribute headers [Hash] more of the request's
  # @!attribute glued [Boolean] whether all goes in one write with the request
  # @!attribute ending [Symbol]
  Case = Struct.new(:sends, :answers, :path, :headers, :glued, :ending, keyword_init: true) do
    # Those of the limits are made when they are run.
    # @return [Case]
    def call = self
  end

  CLOSED = [:close, 1000].freeze

  # How the cases are written.
  module Writing
    include WebSocketFrames

    private

    # A conversation that the client ends.
    def talk(sends, answers, **more)
      ended([*sends, close], [*answers, CLOSED], **more)
    end

    # One that the server ends, for what it has got is an error; what follows is not read.
    def refusal(sends, answers = [], code: 1002, **more)
      ended([*sends, frame(:text, "more"), close], [*answers, [:close, code]], **more)
    end

    def echo(opcode, payload, **more)
      talk([frame(opcode, payload)], [[opcode, payload]], **more)
    end

    def payload(opcode, size)
      opcode == :text ? "*" * size : ("\x00\xFE\xFF\x80".b * (size / 4 + 1)).byteslice(0, size)
    end

    # A message in several frames.
    def fragments(opcode, *pieces)
      pieces.each_with_index.map do |piece, index|
        frame(index.zero? ? opcode : :continuation, piece, fin: index == pieces.size - 1)
      end
    end

    def ended(sends, answers, **more)
      Case.new(path: "/", headers: {}, ending: :fin, sends:, answers:, **more)
    end
  end
end

require_relative "web_socket_cases/closing"
require_relative "web_socket_cases/framing"
require_relative "web_socket_cases/limits"
require_relative "web_socket_cases/messages"

module WebSocketCases
  extend Framing
  extend Messages
  extend Closing
  extend Limits

  module_function

  # @return [Hash{String => Hash{String => Case}}] by category
  def all
    { "1 Framing" => framing, "2 Pings and pongs" => pings, "3 Reserved bits" => reserved_bits,
      "4 Opcodes" => opcodes, "5 Fragmentation" => fragmentation, "6 UTF-8" => utf8,
      "7 Closing" => closing, "9 Limits" => limits, "10 Miscellaneous" => miscellaneous,
      "12 Compression" => compression }
  end

  # @return [Hash{String => Case}] few, of each size
  def few
    framing.merge(limits.slice("text of 1048576 bytes"), closing.slice("a server that closes"))
  end
end
