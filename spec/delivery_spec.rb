# frozen_string_literal: true

# What `delivery: :hijack` and `:auto` do with what a server offers. The servers themselves are in
# spec/servers.
RSpec.describe Rack::StreamingProxy::Proxy, "and the delivery to a hijacked socket" do
  include HijackedCalls

  chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
  let(:logger) { InProcessCalls::RecordingLogger.new }

  def hijacking(upstream, **settings)
    bare(delivery: :hijack, **settings) { upstream.url("/path") }
  end

  # An upstream that goes on with a body in chunks when `@go` says so, and tells of its end.
  def waiting_upstream(head, first, rest = "")
    @go = EventQueue.new("sign to go on")
    @ended = EventQueue.new("end of the upstream's connection")
    start_upstream do |connection|
      connection.read_head
      connection.write(head + first)
      connection.write(rest) if rest.empty? || @go.pop(within: 20)
      @ended << connection.wait_for_end(within: 20)
    end
  end

  # As on a server that has no partial hijack.
  def hijacking_in_full
    server = Class.new(Rack::StreamingProxy::Server::Generic) { def full_hijack? = true }
    allow(Rack::StreamingProxy::Server).to receive(:for) { |given| server.new(given) }
  end

  def expect_reset(client)
    expect(client.read_to_end).to eq(["", :reset])
  end

  describe "writes a body" do
    { "of known length" => ["HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntext", "text"],
      "in chunks" => ["#{chunked}4\r\ntext\r\n0\r\n\r\n", "4\r\ntext\r\n0\r\n\r\n"] }
      .each do |framing, (answer, written)|
        it "#{framing} to the socket, and ends the connection" do
          server, client = connection_pair
          hand_over(answer_offered(hijacking(serving { answer })), server)
          expect(client.read_to_end).to eq([written, :fin])
          expect(server).to be_closed
        end
      end

    it "as it comes to a client of HTTP/1.0, and ends it by the connection's end" do
      server, client = connection_pair
      answer = answer_offered(hijacking(serving { "#{chunked}4\r\ntext\r\n0\r\n\r\n" }),
                              "SERVER_PROTOCOL" => "HTTP/1.0")
      hand_over(answer, server)
      expect(client.read_to_end).to eq(["text", :fin])
    end

    it "through Rack::Lint, which wraps what it is given" do
      server, client = connection_pair
      app = Rack::Lint.new(hijacking(serving { "#{chunked}4\r\ntext\r\n0\r\n\r\n" }))
      hand_over(answer_offered(app), server)
      expect(client.read_to_end).to eq(["4\r\ntext\r\n0\r\n\r\n", :fin])
    end
  end

  describe "to what is no socket of the system's" do
    # As a server has a client under TLS, or a stream of HTTP/2.
    let(:io) do
      Class.new(StringIO) { undef_method :fileno }.new(+"").tap(&:binmode)
    end

    it "writes a body of known length in the server's thread" do
      hand_over(answer_offered(hijacking(serving { [200, {}, "text"] })), io)
      expect([io.string, io.closed?]).to eq(["text", true])
    end

    it "writes a body in chunks" do
      hand_over(answer_offered(hijacking(serving { "#{chunked}4\r\ntext\r\n0\r\n\r\n" })), io)
      expect(io.string).to eq("4\r\ntext\r\n0\r\n\r\n")
    end

    it "leaves out the end of one that was cut short, and says so" do
      upstream = start_upstream do |connection|
        connection.read_head
        connection.write("#{chunked}4\r\ntext\r\n")
      end
      hand_over(answer_offered(hijacking(upstream, logger:)), io)
      expect(io.string).to eq("4\r\ntext\r\n")
      expect(logger.lines.last).to match(/Failed .*status 200, 4 bytes/)
    end

    it "does the same after a full hijack, with a head" do
      env = { "rack.hijack?" => false, "rack.hijack" => -> { io } }
      hijacking_in_full
      answer = answer_offered(hijacking(serving { [200, { "X-A" => "1" }, "text"] }), env)
      expect([answer.first, answer.last]).to eq([200, []])
      head, body = io.string.split("\r\n\r\n", 2)
      expect([head.lines.first, body]).to eq(["HTTP/1.1 200 OK\r\n", "text"])
      expect(head.downcase.lines(chomp: true))
        .to include("x-a: 1", "content-length: 4", "connection: close")
    end
  end

  describe "when no descriptor is left for the engine's duplicate" do
    before do
      allow_any_instance_of(Rack::StreamingProxy::Session).to receive(:deliver).and_return(false)
      allow(Rack::StreamingProxy::Native::Deliveries).to receive(:reply).and_return(false)
    end

    it "writes in the server's thread, but for no longer than send_timeout without a taker" do
      upstream = start_upstream do |connection|
        connection.read_head
        connection.write("HTTP/1.1 200 OK\r\nContent-Length: 64000000\r\n\r\n")
        connection.write("x" * 64_000_000)
      end
      server, = socket_pair
      hand_over(answer_offered(hijacking(upstream, send_timeout: 0.1, logger:)), server)
      expect(logger.lines.last).to match(/ing .*status 200/)
      expect(server).to be_closed
    end

    it "sends what is short at once, and of the rest nothing, where no thread may wait" do
      server, client = socket_pair
      settings = Rack::StreamingProxy::Configuration.new({})
      generic = Rack::StreamingProxy::Server::Generic.new(env_for)
      hijacked = Rack::StreamingProxy::Delivery::HijackedClient.new(server, generic, settings,
                                                                    waits: false)
      expect { hijacked.answer([200, {}, ["x" * 64_000]]) }
        .to raise_error(Rack::StreamingProxy::Overloaded, /RLIMIT_NOFILE/)
      hijacked.answer([503, {}, ["short"]])
      expect(client.read).to match(%r{\AHTTP/1.1 503 .*short\z}m)
    end
  end

  switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
  upgrade = { "HTTP_CONNECTION" => "upgrade", "HTTP_UPGRADE" => "x" }

  { "response" => ["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ntext", {}],
    "tunnel" => [switching, upgrade] }.each do |what, (answer, headers)|
    it "closes the socket that it has taken for a #{what} when its thread is interrupted" do
      hijacking_in_full
      io, client = socket_pair
      app = hijacking(waiting_upstream(answer, ""))
      env = handing_interrupted(io).merge(headers, "rack.hijack?" => false)
      expect { app.call(env_for("/", env)) }.to raise_error(HijackedCalls::Interruption)
      expect([io.closed?, client.read]).to eq([true, ""])
      expect(@ended.pop).not_to be_nil
    end
  end

  it "does not cut a response that the engine has when its thread is interrupted behind that" do
    server, client = connection_pair
    rest = "4\r\nrest\r\n0\r\n\r\n"
    answer = answer_offered(hijacking(waiting_upstream("#{chunked}4\r\ntext\r\n", "", rest)),
                            "SERVER_PROTOCOL" => "HTTP/1.0")
    thread = Thread.current
    # The last that is asked of it before it is handed over.
    server.define_singleton_method(:fileno) do
      singleton_class.remove_method(:fileno)
      Thread.new { thread.raise(HijackedCalls::Interruption) }.join
      fileno
    end
    expect { hand_over(answer, server) }.to raise_error(HijackedCalls::Interruption)
    @go << true
    expect(client.read_to_end).to eq(["textrest", :fin])
  end

  describe "ends the exchange" do
    it "of a body that is closed without a hijack" do
      answer = answer_offered(hijacking(waiting_upstream(chunked, "4\r\ntext\r\n")))
      answer.last.close
      expect(@ended.pop).not_to be_nil
    end

    it "when the client's socket has been closed already" do
      server, = connection_pair
      answer = answer_offered(hijacking(waiting_upstream(chunked, "4\r\ntext\r\n"), logger:))
      server.close
      hand_over(answer, server)
      expect(@ended.pop).not_to be_nil
      expect(logger.lines.last).to match(/Finishing .*status 200/)
    end

    it "when the client ends its direction" do
      server, client = connection_pair
      hand_over(answer_offered(hijacking(waiting_upstream(chunked, "4\r\ntext\r\n"))), server)
      expect(client.read_exactly(9)).to eq("4\r\ntext\r\n")
      client.io.close_write
      expect(@ended.pop).not_to be_nil
      expect(client.read_to_end.first).to eq("")
    end
  end

  it "resets the connection of a client of HTTP/1.0 whose response was cut short" do
    server, client = connection_pair
    upstream = start_upstream do |connection|
      connection.read_head
      connection.write("#{chunked}4\r\ntext\r\n")
    end
    hand_over(answer_offered(hijacking(upstream), "SERVER_PROTOCOL" => "HTTP/1.0"), server)
    expect(client.read_to_end.last).to eq(:reset)
  end

  describe "leaves to the server" do
    { "a response without a body" => [{}, "HTTP/1.1 204 No Content\r\n\r\n"],
      "what HEAD asks for" =>
        [{ method: "HEAD" }, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"],
      "what a middleware may find unchanged" =>
        [{ "HTTP_IF_NONE_MATCH" => '"a"' },
         "HTTP/1.1 200 OK\r\nETag: \"a\"\r\nContent-Length: 4\r\n\r\ntext"] }
      .each do |what, (env, answer)|
        it what do
          expect(offers_hijack?(answer_offered(hijacking(serving { answer }), env))).to be(false)
        end
      end

    it "the answer to an upload that has not ended" do
      upstream = start_upstream do |connection|
        connection.read_head
        connection.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")
        connection.wait_for_end
      end
      input = StringIO.new("x" * (16 << 20))
      answer = answer_offered(hijacking(upstream), method: "POST", input:)
      expect(offers_hijack?(answer)).to be(false)
      answer.last.close
    end

    it "everything, where it hands no socket over, and says so once in each process" do
      upstream = serving { [200, {}, "text"] }
      result = RubyScript.run(<<~RUBY, env: { "UPSTREAM" => upstream.url })
        require "rack/mock"
        require "logger"
        app = Rack::StreamingProxy::Proxy.new(proc {}, delivery: :hijack, logger: Logger.new($stdout)) { ENV["UPSTREAM"] }
        2.times { app.call(Rack::MockRequest.env_for("/")).last.each { |chunk| puts chunk } }
      RUBY
      expect(result.output.scan(/^text$/).size).to eq(2)
      notices = result.output.scan(/WARN.*delivery: Generic hands no client's socket over/)
      expect(notices.size).to eq(1)
    end
  end

  describe "under :auto" do
    # The body is here when its head is: all of it was written at once.
    def offered(upstream, **settings)
      answer = answer_offered(hijacking(upstream, delivery: :auto, **settings))
      offers_hijack?(answer).tap { answer.last.close }
    end

    it "leaves a small response to the server, which keeps the connection" do
      upstream = serving { [200, {}, "text"] }
      expect(Array.new(5) { offered(upstream) }).to include(false)
    end

    it "takes one that is longer than auto_hijack_above, or has no length, or is not here yet" do
      expect(offered(serving { [200, {}, "text"] }, auto_hijack_above: 3)).to be(true)
      expect(offered(serving { "#{chunked}4\r\ntext\r\n0\r\n\r\n" })).to be(true)
      head = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
      expect(offered(waiting_upstream(head, "first"))).to be(true)
    end

    it "asks for no full hijack, which would lose what middleware outside adds" do
      env = { "protocol.http.request" => Struct.new(:body, :protocol, :connection).new }
      upstream = serving { "#{chunked}4\r\ntext\r\n0\r\n\r\n" }
      expect(read(answer_offered(hijacking(upstream, delivery: :auto), env).last)).to eq("text")
    end
  end

  describe "behind a middleware that" do
    def middleware(app, &change)
      ->(env) { change.call(*app.call(env)) }
    end

    it "collects the body: gives it the ordinary response" do
      app = middleware(hijacking(serving { [200, {}, "text"] })) do |status, headers, body|
        [status, headers, [read(body).upcase]]
      end
      _, headers, body = answer_offered(app)
      expect(headers.keys.map(&:downcase)).to eq(["content-length"])
      expect(body).to eq(["TEXT"])
    end

    { "of HTTP/1.1" => {}, "of HTTP/1.0" => { "SERVER_PROTOCOL" => "HTTP/1.0" } }
      .each do |client, env|
        it "collects the body, and keeps the hijack in a copy of the headers: resets (#{client})" do
          upstream = serving { "#{chunked}4\r\ntext\r\n0\r\n\r\n" }
          app = middleware(hijacking(upstream, logger:)) do |*answer|
            headers = {}.merge(answer[1])
            [answer[0], headers, [read(answer[2])]]
          end
          server, client = connection_pair
          hand_over(answer_offered(app, env), server)
          expect_reset(client)
          expect(logger.lines.join).to match(/WARN .*delivery: middleware outside .* inside/)
        end
      end

    it "encodes the body later: resets" do
      app = middleware(hijacking(serving { [200, {}, "text"] }, logger:)) do |status, headers, body|
        headers.delete(Rack::StreamingProxy::RackHeaders.spelled("content-length"))
        headers[Rack::StreamingProxy::RackHeaders.spelled("content-encoding")] = "x-upcase"
        [status, headers, Enumerator.new { |out| body.each { |chunk| out << chunk.upcase } }]
      end
      server, client = connection_pair
      hand_over(answer_offered(app), server)
      expect_reset(client)
      expect(logger.lines.join).to match(/WARN .*delivery: middleware outside/)
    end

    it "adds headers: sends them" do
      app = middleware(hijacking(serving { [200, {}, "text"] })) do |status, headers, body|
        [status, headers.merge("x-outer" => "1"), body]
      end
      answer = answer_offered(app)
      expect(answer[1]["x-outer"]).to eq("1")
      expect(offers_hijack?(answer)).to be(true)
      answer.last.close
    end
  end
end
