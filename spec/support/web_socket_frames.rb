# frozen_string_literal: true

# The frames of RFC 6455, section 5.2, as the bytes that a client sends, and those that came.
module WebSocketFrames
  OPCODES = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 }.freeze
  MASK = [0x37, 0xFA, 0x21, 0x3D].pack("C4")

  module_function

  # @param opcode [Symbol, Integer]
  # @param fin [Boolean] whether its message ends with it
  # @param rsv [Integer] the three reserved bits, 0 to 7
  # @return [String]
  def frame(opcode, payload = "", fin: true, rsv: 0)
    opcode = OPCODES.fetch(opcode, opcode)
    [(fin ? 0x80 : 0) | (rsv << 4) | opcode].pack("C") << length(payload.bytesize) << MASK <<
      masked(payload.b)
  end

  # @return [String] a close frame
  def close(code = 1000, reason = "")
    frame(:close, [code].pack("n") << reason.b)
  end

  # @param bytes [String] frames of a server, which masks none
  # @return [Array<Array(Symbol, String)>] what each of them is, and its payload
  def parse(bytes)
    frames = []
    until bytes.empty?
      opcode, length, more, most = bytes.unpack("CCn") + bytes.unpack("xxQ>")
      from, length = { 126 => [4, more], 127 => [10, most] }.fetch(length, [2, length])
      frames << [OPCODES.key(opcode & 15), bytes.byteslice(from, length)]
      bytes = bytes.byteslice(from + length..) || ""
    end
    frames
  end

  def length(size)
    case size
    when 0..125 then [0x80 | size].pack("C")
    when 126..65_535 then [0x80 | 126, size].pack("Cn")
    else [0x80 | 127, size].pack("CQ>")
    end
  end

  def masked(payload)
    key = MASK.unpack1("L")
    words = payload.ljust((payload.bytesize + 3) / 4 * 4, "\0").unpack("L*")
    words.map! { |word| word ^ key }.pack("L*").byteslice(0, payload.bytesize)
  end
  private_class_method :length, :masked
end
