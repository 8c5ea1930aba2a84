# frozen_string_literal: true

require "tempfile"
require "zlib"

# What a callback of `proxy_fetch` renders from an IO, as the client's socket gets it.
RSpec.describe Rack::StreamingProxy::Fetch::SocketResponder do
  include HijackedCalls

  let(:upstream) { serving { [200, {}, "hello"] } }
  let(:logger) { InProcessCalls::RecordingLogger.new }

  def rendering(version: "HTTP/1.1", **answer, &on_error)
    server, client = connection_pair
    env = { "SERVER_PROTOCOL" => version, "HTTP_VERSION" => version, **handing(server) }
    Rack::StreamingProxy::Fetch.new(upstream.url, env_for("/", env), logger:) do |config|
      config.on_response { |_, responder| responder.render(**answer) }
      config.on_error(&on_error) if on_error
    end.call
    client
  end

  # @return [String] all that the client gets
  def rendered(...)
    rendering(...).tap { |client| @client = client }.read_to_end(within: 10).first
  end

  # An IO that says it has this much less, or more, than it gives.
  def file(text, size)
    closing(Tempfile.new).tap do |file|
      file.write(text)
      file.rewind
      file.define_singleton_method(:size) { size }
    end
  end

  # An IO that gives some bytes, and then this.
  def raising(error)
    io = StringIO.new("x" * 10)
    io.singleton_class.undef_method(:size)
    io.define_singleton_method(:readpartial) { |most| eof? ? raise(error) : super(most) }
    io
  end

  after do
    @client&.close
    expect(Deadline.new(10).poll { Rack::StreamingProxy::Reporters.open.empty? }).to be_truthy
  end

  it "sends no more of an IO that grows than it has announced" do
    expect(rendered(body: file("12345", 3)))
      .to match(/^content-length: 3\r\n/i).and end_with("\r\n\r\n123")
  end

  it "does not make an IO that turns out shorter look whole" do
    errors = EventQueue.new("on_error")
    text = rendered(body: file("12345", 9)) { |error, responder| errors << [error, responder] }
    expect(text).not_to include("\r\n\r\n123456")
    error, responder = errors.pop(within: 10)
    expect(error.message).to match(/ended 4 bytes before/)
    expect(responder).to be_closed
  end

  errors = [RuntimeError, Zlib::DataError, NotImplementedError, IOError, Errno::EIO]

  errors.each do |error|
    it "does not make an IO that raises #{error} look whole" do
      told = EventQueue.new("on_error")
      text = rendered(body: raising(error.new("IO's"))) { |raised, _| told << raised }
      expect(text).to start_with("HTTP/1.1 200 ")
      expect(text).not_to end_with("0\r\n\r\n")
      expect(told.pop(within: 10)).to be_an(error)
    end
  end

  it "sends the beginning of an IO without a length before its end, to HTTP/1.0 too" do
    reader, writer = IO.pipe.map { |io| closing(io) }
    piece = "x" * 65_536
    @client = rendering(version: "HTTP/1.0", body: reader)
    in_thread { writer.write(piece) }
    expect(@client.read_until("\r\n\r\n", within: 10)).not_to match(/transfer-encoding/i)
    expect(@client.read_exactly(piece.bytesize, within: 10)).to eq(piece)
    writer.write("end")
    writer.close
    expect(@client.read_to_end(within: 10)).to eq(["end", :fin])
  end

  [204, 304].each do |status|
    it "has no body for a #{status}, of an IO neither" do
      expect(rendered(status:, body: StringIO.new("12345"))).to end_with("\r\n\r\n")
    end
  end

  describe "where the server writes" do
    # @return [Array(Integer, Hash, #each)]
    # @param behind [Proc] what the callback does behind it
    def answered(behind: nil, **answer, &on_error)
      Rack::StreamingProxy::Fetch.new(upstream.url, env_for, logger:) do |config|
        config.on_response do |_, responder|
          responder.render(**answer)
          behind&.call(answer[:body])
        end
        config.on_error(&on_error) if on_error
      end.call
    end

    it "sends no more than announced either" do
      _, headers, body = answered(body: file("12345", 3))
      expect([header_lines(headers)["content-length"], read(body)]).to eq([["3"], "123"])
    end

    it "reads on as it is written, though its owner has closed the IO" do
      reader, writer = IO.pipe.map { |io| closing(io) }
      _, _, body = answered(body: reader, behind: :close.to_proc)
      pieces = EventQueue.new("piece")
      writing = in_thread { body.each { |piece| pieces << piece } && body.close }
      %w[first second].each do |piece|
        writer.write(piece)
        expect(pieces.pop).to eq(piece)
      end
      expect(logger.lines.grep(/Finishing/)).to be_empty
      writer.close
      writing.join(10)
      expect(logger.lines.grep(/Finishing .*status 200/).size).to eq(1)
    end

    it "sends what Ruby has read ahead of an IO that cannot seek" do
      reader, writer = IO.pipe.map { |io| closing(io) }
      writer << "line\nahead"
      reader.gets
      _, _, body = answered(body: reader, behind: :close.to_proc)
      writer << "behind"
      writer.close
      expect(read(body)).to eq("aheadbehind")
    end

    {
      "reads on" => :read, "rewinds" => :rewind, "seeks" => ->(io) { io.seek(3) },
      "closes it" => :close, "removes it" => ->(io) { io.close && File.unlink(io.path) }
    }.each do |what, behind|
      it "sends a File from where it was, though the callback #{what} meanwhile" do
        path = file("line\n12345", 10).tap(&:flush).path
        io = closing(File.open(path))
        io.gets
        _, headers, body = answered(body: io, behind: behind.to_proc)
        expect([header_lines(headers)["content-length"], read(body)]).to eq([["5"], "12345"])
      end
    end

    it "sends a Tempfile that the callback removes meanwhile" do
      _, _, body = answered(body: file("12345", 5), behind: :close!.to_proc)
      expect(read(body)).to eq("12345")
    end

    loud = Module.new { def readpartial(...) = super.upcase }

    { "a subclass" => ->(path) { Class.new(File) { include loud }.open(path) },
      "the object" => ->(path) { File.open(path).extend(loud) } }.each do |whose, opened|
      it "reads a File in the way of its own that #{whose} has, though the callback closes it" do
        io = closing(opened.call(file("12345text", 9).tap(&:flush).path))
        io.seek(5)
        expect(read(answered(body: io, behind: :close.to_proc).last)).to eq("TEXT")
      end
    end

    describe "the output of a process" do
      zeros = ["head", "-c", "300000", "/dev/zero"].freeze

      it "is sent whole, and the process waited for, if it stays open" do
        io = IO.popen(zeros)
        pid = io.pid
        expect(read(answered(body: io).last)).to eq("\0" * 300_000)
        expect { Process.wait(pid) }.to raise_error(Errno::ECHILD)
      end

      # To close it is to wait for it, while nobody reads.
      it "does not look whole, and holds nobody up, if the callback closes it" do
        _, _, body = answered(body: IO.popen(zeros), behind: :close.to_proc)
        expect { read(body) }.to raise_error(EOFError, /cannot be read: IOError\z/)
      end
    end

    it "leaves no descriptor of it behind, read or not" do
      io = file("12345", 5)
      bodies = Array.new(2) { answered(body: io).last }
      opened = -> { Dir["/proc/self/fd/*"].count { |fd| File.identical?(fd, io.path) } }
      expect(opened.call).to eq(3)
      read(bodies.first)
      bodies.last.close
      expect(opened.call).to eq(1)
    end

    it "does not make an IO that turns out shorter look whole" do
      errors = []
      _, _, body = answered(body: file("12345", 9)) { |error, _| errors << error }
      expect { read(body) }.to raise_error(EOFError, /ended 4 bytes before/)
      expect([errors.size, logger.lines.grep(/Failed .*status 200/).size]).to eq([1, 1])
    end

    errors.each do |error|
      # A server may write any other error into the body that has begun.
      it "does not make an IO that raises #{error} look whole" do
        told = []
        events = EventRecorder.new("request.streaming_proxy")
        _, _, body = answered(body: raising(error.new("IO's"))) { |raised, _| told << raised }
        expect { read(body) }.to raise_error(EOFError, /cannot be read: #{error}\z/)
        expect(told.map { |raised| raised.cause.class }).to eq([error])
        expect(logger.lines.grep(/Failed .*status 200/).size).to eq(1)
        # The upstream has not.
        expect(events.payloads).to match([include(error: error.name, aborted_by: nil)])
      ensure
        events.stop
      end
    end
  end

  [100, 101, 199, 600, 0, "x", :continue].each do |status|
    it "refuses #{status.inspect}, which is no status of a response" do
      errors = EventQueue.new("on_error")
      text = rendered(status:, text: "x") { |error| errors << error }
      expect(text).to start_with("HTTP/1.1 500 ")
      expect(errors.pop(within: 10)).to be_an(ArgumentError)
    end
  end

  { 200 => "200 OK", 599 => "599 ", :not_found => "404 Not Found" }.each do |status, line|
    it "takes #{status.inspect}" do
      expect(rendered(status:, text: "x")).to start_with("HTTP/1.1 #{line}\r\n")
    end
  end
end
