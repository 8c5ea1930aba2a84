# frozen_string_literal: true

# Under a Fiber scheduler every wait gives the thread to another fiber.
RSpec.describe "Fibers" do
  def schedule(&block)
    SelectingScheduler.run(&block)
  end

  # What a fiber is told that nobody needs any more.
  cancelled = Class.new(StandardError)

  # Calls `proxy` in so many fibers and reads their answers.
  # @yieldparam chunk [String] of any of them
  def read_in_fibers(count, proxy, &block)
    texts = []
    schedule do
      count.times do
        Fiber.schedule { texts << read(proxy.call(env_for("/"))[2], &block) }
      end
    end
    texts
  end

  # An upstream that says when its connection has ended.
  def watched_upstream(*writes)
    @asked = EventQueue.new("request")
    @ended = EventQueue.new("end of the upstream's connection")
    start_upstream do |connection|
      connection.read_head
      writes.each { |bytes| connection.write(bytes) }
      @asked << true
      @ended << connection.wait_for_end(within: 20)
    end
  end

  half = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"

  it "stream side by side on one thread: 100 streams are in their bodies at once", id: "ST1" do
    first = EventQueue.new("first chunk at its reader")
    go = EventQueue.new("sign to go on")
    upstream = start_upstream do |connection|
      connection.read_head
      connection.begin_chunked
      connection.chunk("first,")
      go.pop(within: 30)
      connection.chunk("last")
      connection.end_chunked
    end
    in_thread { 100.times { first.pop(within: 30) }.then { 100.times { go << true } } }
    texts = read_in_fibers(100, bare { upstream.url }) { first << true }
    expect(texts).to eq(["first,last"] * 100)
  end

  it "wait for their heads side by side" do
    all = EventQueue.new("request")
    go = EventQueue.new("sign to answer")
    upstream = start_upstream do |connection|
      connection.read_head
      all << true
      go.pop(within: 20)
      connection.respond(200, {}, "answer")
    end
    in_thread { 20.times { all.pop(within: 20) }.then { 20.times { go << true } } }
    expect(read_in_fibers(20, bare { upstream.url })).to eq(["answer"] * 20)
  end

  it "upload side by side, each from an input that waits" do
    upstream = serving { |request| [200, {}, request.body] }
    proxy = bare { upstream.url }
    texts = []
    schedule do
      20.times do |number|
        Fiber.schedule do
          input, client = IO.pipe
          Fiber.schedule do
            ["one", number.to_s].each { |piece| client.write(piece).then { sleep 0.05 } }
            client.close
          end
          env = env_for("/", method: "POST", input:, "CONTENT_LENGTH" => nil,
                             "HTTP_TRANSFER_ENCODING" => "chunked")
          texts << read(proxy.call(env)[2])
        end
      end
    end
    expect(texts).to match_array(Array.new(20) { |number| "one#{number}" })
  end

  # The shape of what Falcon gives: the bytes read ahead are in @read_buffer.
  stream_of_falcon = Struct.new(:to_io) do
    def initialize(socket)
      super
      @read_buffer = +""
    end

    def read_partial(size) = to_io.readpartial(size)
    def closed? = false
  end

  def falcons_env(socket, stream, length)
    request = Struct.new(:body, :protocol, :connection)
                    .new(socket, nil, Struct.new(:stream).new(stream))
    env_for("/", method: "POST").merge("rack.input" => stream, "CONTENT_LENGTH" => length.to_s,
                                       "protocol.http.request" => request)
  end

  it "upload from clients' sockets side by side, each piece when it comes" do
    came = EventQueue.new("first piece at the upstream")
    upstream = start_upstream do |connection|
      connection.read_head
      came << (first = connection.read_exactly(3, within: 20))
      connection.respond(200, {}, first + connection.read_exactly(3, within: 20))
    end
    proxy = bare { upstream.url }
    texts = []
    clients = Array.new(20) { UNIXSocket.pair }
    schedule do
      clients.each do |socket, _|
        env = falcons_env(socket, stream_of_falcon.new(socket), 6)
        Fiber.schedule { texts << read(proxy.call(env)[2]) }
      end
      20.times { upstream.wait_for_request } # All are on their way, and none has anything to send.
      %w[one two].each do |piece|
        clients.each { |_, client| client.write(piece) }
        20.times { came.pop } if piece == "one"
      end
    end
    expect(texts).to eq(["onetwo"] * 20)
  ensure
    clients.flatten.each(&:close)
  end

  it "hear an early answer while a client's socket is silent", id: "ST6" do
    upstream = start_upstream do |connection|
      connection.read_head
      connection.respond(403, { "Connection" => "close" }, "no")
      connection.wait_for_end(within: 20)
    end
    socket, client = UNIXSocket.pair
    answer = schedule do
      status, _, body = bare { upstream.url }.call(
        falcons_env(socket, stream_of_falcon.new(socket), 6)
      )
      [status, read(body)]
    end
    expect(answer).to eq([403, "no"])
  ensure
    [socket, client].each(&:close)
  end

  it "read on from a client whose socket cannot be watched" do
    upstream = serving { |request| [200, {}, request.body] }
    socket, client = UNIXSocket.pair
    client.write("piece")
    # As where no descriptor is left: the engine is given one that cannot be watched, a file's.
    unwatched = Struct.new(:fileno) { def recv_nonblock(*, **) = :wait_readable }
    text = File.open(__FILE__) do |file|
      schedule do
        stream = stream_of_falcon.new(socket)
        stream.define_singleton_method(:to_io) { unwatched.new(file.fileno) }
        stream.define_singleton_method(:read_partial) { |size| socket.readpartial(size) }
        read(bare { upstream.url }.call(falcons_env(socket, stream, 5))[2])
      end
    end
    expect(text).to eq("piece")
  ensure
    [socket, client].each(&:close)
  end

  it "close their upstream when they are cancelled before the head", id: "ST4" do
    upstream = watched_upstream
    schedule do
      fiber = Fiber.schedule do
        bare { upstream.url }.call(env_for("/"))
      rescue cancelled
        nil
      end
      sleep 0.01 while @asked.empty?
      Fiber.scheduler.cancel(fiber, cancelled)
    end
    expect(@ended.pop).not_to be_nil
  end

  it "close their upstream when they are cancelled in the body", id: "ST4" do
    upstream = watched_upstream(half)
    seen = []
    schedule do
      fiber = Fiber.schedule do
        bare { upstream.url }.call(env_for("/"))[2].each { |chunk| seen << chunk }
      rescue cancelled
        nil
      end
      sleep 0.01 while seen.empty?
      Fiber.scheduler.cancel(fiber, cancelled)
    end
    expect(seen).to eq(["half"])
    expect(@ended.pop).not_to be_nil
  end

  it "heed Timeout" do
    upstream = watched_upstream
    error = nil
    schedule do
      Timeout.timeout(0.2) { bare { upstream.url }.call(env_for("/")) }
    rescue Timeout::Error => e
      error = e
    end
    expect(error).to be_a(Timeout::Error)
    expect(@ended.pop).not_to be_nil
  end

  # Waits for a second chunk in one fiber while another closes the body.
  def close_while_waiting(seen)
    schedule do
      _, _, body = bare { @upstream.url }.call(env_for("/"))
      waiting = Fiber.schedule do
        yield body
      rescue StandardError => e
        seen << e.class
      end
      sleep 0.01 while seen.empty?
      body.close
      sleep 0.01 while waiting.alive?
    end
  end

  it "may close a body for which another fiber waits", id: "ST4" do
    @upstream = watched_upstream(half)
    seen = []
    close_while_waiting(seen) { |body| body.each { |chunk| seen << chunk } }
    expect(seen).to eq(["half", Rack::StreamingProxy::BodyError])
    expect(@ended.pop).not_to be_nil
  end

  it "may take a part of a body through an external Enumerator", id: "ST4" do
    upstream = watched_upstream(half)
    first = schedule do
      _, _, body = bare { upstream.url }.call(env_for("/"))
      body.to_enum(:each).next.tap { body.close }
    end
    expect(first).to eq("half")
    expect(@ended.pop).not_to be_nil
  end

  own = Fiber.new(blocking: false) { Enumerator.new { |to| to << Fiber.current.blocking? }.next }
  if own.resume
    it "hold their thread in an external Enumerator, whose fiber blocks on older Rubies" do
      expect(RUBY_VERSION).to be < "3.3"
    end
  else
    it "may wait in an external Enumerator, as Falcon does", id: "ST4" do
      @upstream = watched_upstream(half)
      seen = []
      close_while_waiting(seen) do |body|
        chunks = body.to_enum(:each)
        loop { seen << chunks.next }
      end
      expect(seen).to eq(["half", Rack::StreamingProxy::BodyError])
      expect(@ended.pop).not_to be_nil
    end
  end

  it "leave nothing behind" do
    upstream = serving { [200, {}, "answer"] }
    read_in_fibers(20, bare { upstream.url })
    expect(Deadline.new(10).poll { Rack::StreamingProxy.stats[:exchanges].zero? }).to be(true)
  end
end
