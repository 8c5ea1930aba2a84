# frozen_string_literal: true

# Under a Fiber scheduler every wait gives the thread to another fiber.
RSpec.describe "Fibers" do
  def schedule(&block)
    SelectingScheduler.run(&block)
  end

  # What a fiber is told that nobody needs any more.
  cancelled = Class.new(StandardError)

  # Calls `proxy` in so many fibers and reads their answers.
  def read_in_fibers(count, proxy)
    texts = []
    schedule do
      count.times { Fiber.schedule { texts << read(proxy.call(env_for("/"))[2]) } }
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

  it "stream side by side on one thread: 100 streams of 1 s take much less than 100 s", id: "ST1" do
    upstream = start_upstream do |connection|
      connection.read_head
      connection.begin_chunked
      connection.chunk("first,")
      sleep 1
      connection.chunk("last")
      connection.end_chunked
    end
    texts = nil
    seconds = elapsed { texts = read_in_fibers(100, bare { upstream.url }) }
    expect(texts).to eq(["first,last"] * 100)
    expect(seconds).to be_between(1, 15)
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
