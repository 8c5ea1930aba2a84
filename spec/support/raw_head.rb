# frozen_string_literal: true

# The first line and the header lines of a message, exactly as they came over the wire.
class RawHead
  attr_reader :raw, :first_line, :lines

  def initialize(raw)
    @raw = raw
    @first_line, *@lines = raw.split("\r\n")
  end

  # @return [String, nil] the value, with several lines of that name joined by ", "
  def [](name)
    values = all(name)
    values.empty? ? nil : values.join(", ")
  end

  # @return [Array<String>] one value a line
  def all(name)
    pairs.filter_map { |key, value| value if key.casecmp?(name) }
  end

  def names
    pairs.map { |key, _| key.downcase }
  end

  def pairs
    lines.map { |line| line.split(/:[ \t]*/, 2) }
  end

  def request_method
    first_line.split(" ", 3)[0]
  end

  def target
    first_line.split(" ", 3)[1]
  end

  def status
    first_line[%r{\AHTTP/1\.\d (\d{3})}, 1].to_i
  end

  def content_length
    self["content-length"]&.to_i
  end

  def chunked?
    self["transfer-encoding"].to_s.downcase.include?("chunked")
  end
end
