# frozen_string_literal: true

# A request body whose server has left its chunk framing on, as Passenger does.
RSpec.describe Rack::StreamingProxy::Server::ChunkedInput do
  def input(bytes)
    described_class.new(StringIO.new(bytes.b))
  end

  def read_all(input, size = 16_384)
    pieces = []
    while (piece = input.read(size))
      pieces << piece
    end
    pieces
  end

  { "one chunk" => "5\r\nhello\r\n0\r\n\r\n",
    "several chunks" => "2\r\nhe\r\n1\r\nl\r\n2\r\nlo\r\n0\r\n\r\n",
    "leading zeros" => "0005\r\nhello\r\n000\r\n\r\n",
    "an extension" => "5;name=\"a b\"\r\nhello\r\n0;last\r\n\r\n",
    "white space before an extension" => "5 ;name\r\nhello\r\n0\r\n\r\n",
    "trailers" => "5\r\nhello\r\n0\r\nX-Trailer: yes\r\nContent-Length: 3\r\n\r\n" }
    .each do |what, bytes|
      it "takes the framing off: #{what}" do
        expect(read_all(input(bytes)).join).to eq("hello")
      end
    end

  it "reads hexadecimal sizes in both cases, and bytes as they are" do
    data = Random.bytes(0xaBc)
    expect(read_all(input("aBc\r\n#{data}\r\n0\r\n\r\n".b)).join).to eq(data)
  end

  it "gives at most what it is asked for, and never more than a chunk" do
    pieces = read_all(input("5\r\nhello\r\n3\r\nabc\r\n0\r\n\r\n"), 4)
    expect(pieces).to eq(%w[hell o abc])
  end

  it "has nothing of an empty body, and stays at its end" do
    empty = input("0\r\n\r\n")
    expect(Array.new(3) { empty.read(10) }).to eq([nil] * 3)
  end

  it "reads nothing behind its end" do
    source = StringIO.new("1\r\nx\r\n0\r\n\r\nGET / HTTP/1.1\r\n")
    read_all(described_class.new(source))
    expect(source.read).to eq("GET / HTTP/1.1\r\n")
  end

  it "begins again when it is rewound" do
    twice = input("5\r\nhello\r\n0\r\n\r\n")
    twice.read(2)
    twice.rewind
    expect(read_all(twice).join).to eq("hello")
  end

  { "no size" => "\r\nhello\r\n0\r\n\r\n", "a size that is no number" => "z\r\nhello\r\n0\r\n\r\n",
    "a sign" => "+5\r\nhello\r\n0\r\n\r\n", "a minus sign" => "-5\r\nhello\r\n0\r\n\r\n",
    "a prefix" => "0x5\r\nhello\r\n0\r\n\r\n", "an underscore" => "0_5\r\nhello\r\n0\r\n\r\n",
    "white space before the size" => " 5\r\nhello\r\n0\r\n\r\n",
    "a size beyond all numbers" => "#{"f" * 17}\r\nhello\r\n0\r\n\r\n",
    "a bare line feed behind the size" => "5\nhello\r\n0\r\n\r\n",
    "a carriage return in an extension" => "5;a\rb\r\nhello\r\n0\r\n\r\n",
    "a longer chunk" => "5\r\nhello!\r\n0\r\n\r\n", "a shorter chunk" => "6\r\nhello\r\n0\r\n\r\n",
    "a bare line feed behind a chunk" => "5\r\nhello\n0\r\n\r\n",
    "a bare line feed behind a trailer" => "5\r\nhello\r\n0\r\nX: y\n\r\n",
    "an endless extension" => "5;#{"x" * 20_000}\r\nhello\r\n0\r\n\r\n",
    "endless trailers" => "5\r\nhello\r\n0\r\n#{"X: y\r\n" * 4000}\r\n" }
    .each do |what, bytes|
      it "refuses #{what}", id: "RQ7" do
        expect { read_all(input(bytes)) }.to raise_error(described_class::Malformed)
      end
    end

  ["", "5", "5\r", "5\r\n", "5\r\nhel", "5\r\nhello", "5\r\nhello\r\n", "5\r\nhello\r\n0\r\n",
   "5\r\nhello\r\n0\r\nX: y\r\n"].each do |bytes|
    it "tells a body that ends early from a whole one: #{bytes.inspect}", id: "RQ6" do
      expect { read_all(input(bytes)) }.to raise_error(EOFError)
    end
  end
end
