# frozen_string_literal: true

require "openssl"

module Streamer
  # The content of /bytes/SIZE, so that anyone can compute its digest without the transfer. It is
  # cut from an endless row of 64 KiB blocks: block n is n as 8 bytes, big-endian, followed by
  # the bytes from the 8th on of SHA-256("0"), SHA-256("1") ... SHA-256("2047") put together.
  # No two blocks are equal, so a lost, doubled or exchanged one changes the digest.
  class Pattern
    BLOCK = 64 * 1024
    TAIL = (0...BLOCK / 32).map { |n| OpenSSL::Digest.digest("SHA256", n.to_s) }
                           .join.byteslice(8..).freeze
    UNITS = { "" => 1, "k" => 1 << 10, "m" => 1 << 20, "g" => 1 << 30 }.freeze

    # @param text [String] such as "1048576", "64k", "10M", "1G"
    # @return [Integer] in bytes
    # @raise [ArgumentError] when it is no size
    def self.size(text)
      number, unit = text.match(/\A(\d+)([kmg]?)\z/i)&.captures
      raise ArgumentError, "not a size such as 64k, 10M or 1G: #{text.inspect}" unless number

      number.to_i * UNITS.fetch(unit.downcase)
    end

    # @param size [Integer] in bytes
    def initialize(size)
      @size = size
    end

    def each
      whole, rest = @size.divmod(BLOCK)
      whole.times { |n| yield block(n) }
      yield block(whole).byteslice(0, rest) if rest.positive?
    end

    private

    def block(number)
      [number].pack("Q>") << TAIL
    end
  end
end
