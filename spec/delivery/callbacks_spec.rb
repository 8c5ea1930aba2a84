# frozen_string_literal: true

# What a client's socket gets when callbacks of `proxy_fetch` do what they should not.
RSpec.describe Rack::StreamingProxy::Fetch do
  include HijackedCalls

  before do
    @upstream = start_upstream do |connection|
      case connection.read_request.head.target
      when "/chunked" then chunked(connection)
      when "/halves" then halves(connection)
      when "/cut" then connection.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello").close
      else connection.respond(200, { "X-Bin" => "caf\xE9".b }, "hello")
      end
    end
    @logger = InProcessCalls::RecordingLogger.new
    @second_half = Queue.new
  end

  def chunked(connection)
    connection.begin_chunked
    %w[hello world].each { |data| connection.chunk(data) }
    connection.end_chunked
  end

  def halves(connection)
    connection.begin_chunked
    connection.chunk("hello")
    @second_half.pop
    connection.chunk("world")
    connection.end_chunked
  end

  # Returns when all callbacks have.
  # @return [String] all that the client gets, of a server that hands its socket over
  def told(path = "/length", version: "1.1", &configure)
    server, client = socket_pair
    env = handing(server).merge("SERVER_PROTOCOL" => "HTTP/#{version}")
    described_class.new(@upstream.url(path), env_for("/", env), logger: @logger, &configure).call
    RawSocket.new(client).read_to_end(within: 10).first.tap do
      client.close
      settle
    end
  end

  def await_log(pattern)
    found = Deadline.new(10).poll { @logger.lines.grep(pattern).first }
    expect(found).not_to be_nil, @logger.lines.join("\n")
  end

  def settle
    expect(Deadline.new(10).poll { Rack::StreamingProxy::Reporters.open.empty? }).to be_truthy
  end

  after do
    settle
    freed = Deadline.new(10).poll do
      Rack::StreamingProxy.stats.values_at(:exchanges, :streams) == [0, 0]
    end
    expect(freed).to be_truthy, Rack::StreamingProxy.stats.inspect
  end

  describe "a body that a callback has read" do
    consumed = /ResponseBodyAlreadyConsumedError|has read the body/

    %w[/chunked /length].each do |path|
      it "in on_headers is no answer without its body: #{path}" do
        error = nil
        text = told(path) do |config|
          config.on_headers { |response| response["x-digest"] = response.body.size.to_s }
          config.on_error { |e| error = e }
        end
        expect(text).to start_with("HTTP/1.1 500 ")
        expect(error).to be_a(Rack::StreamingProxy::ResponseBodyAlreadyConsumedError)
        await_log(consumed)
      end
    end

    it "in on_headers is no answer where the server writes either" do
      fetch = described_class.new(@upstream.url("/chunked"), env_for, logger: @logger) do |config|
        config.on_headers { |response, _| response.body }
      end
      expect(fetch.call.first).to eq(500)
    end

    it "in part is neither passed on nor read on" do
      again = nil
      text = told("/halves") do |config|
        config.on_response do |response, _|
          interrupted { response.body }
          @second_half << true
          again = begin
            response.body
          rescue StandardError => e
            e
          end
        end
      end
      expect(again).to be_a(Rack::StreamingProxy::ResponseBodyAlreadyConsumedError)
      expect(text).to start_with("HTTP/1.1 500 ")
      expect(text).not_to include("world")
    end

    # As a Timeout around it does.
    def interrupted
      reader = Thread.current
      in_thread { reader.raise(Interrupt) if Deadline.new(10).poll { reader.status == "sleep" } }
      yield
    rescue Interrupt
      nil
    end

    it "is gone for on_complete" do
      text = told { |config| config.on_complete(&:body) }
      expect(text).to end_with("\r\n\r\nhello")
      await_log(/on_complete failed: Rack::StreamingProxy::ResponseBodyAlreadyConsumedError/)
    end
  end

  describe "what a callback has begun by `write`" do
    begun = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npartial"

    it "is followed by no error's answer when it raises, and is cut" do
      rendered = closed = nil
      text = told do |config|
        config.on_response { |_, responder| responder.write(begun) && raise("by a callback") }
        config.on_error do |_, responder|
          closed = responder.closed?
          rendered = responder.render(status: 503, text: "x" * 100)
        end
      end
      expect([text, closed, rendered]).to eq([begun, true, false])
      await_log(/Failed .* RuntimeError/)
    end

    it "is reset for a client that has read some of it" do
      server, client = connection_pair
      env = env_for("/", handing(server))
      fetch = described_class.new(@upstream.url, env, logger: @logger) do |config|
        config.on_response { |_, responder| responder.write(begun) && raise("by a callback") }
      end
      fetch.call
      expect(client.read_to_end(within: 10).last).to eq(:reset)
    end

    it "is followed by nothing of the upstream's, nor by what is rendered" do
      rendered = nil
      text = told do |config|
        config.on_response do |_, responder|
          responder.write(begun)
          rendered = responder.render(text: "x" * 100)
        end
      end
      expect([text, rendered]).to eq([begun, false])
    end

    it "may go on until it returns" do
      text = told do |config|
        config.on_headers { |_, responder| 2.times { responder.write(begun) } }
      end
      expect(text).to eq(begun * 2)
    end
  end

  describe "a header" do
    it "may have any encoding, beside others of the upstream's" do
      text = told do |config|
        config.on_headers do |response, _|
          response["content-disposition"] = 'attachment; filename="é"'
          response.add_field("x-bin", "é")
        end
      end
      expect(text).to include("filename=\"é\"\r\n".b).and include("caf\xE9\r\n".b)
        .and end_with("\r\n\r\nhello")
      expect(text.scan(/^x-bin: (.*)\r$/i).flatten).to eq(["caf\xE9".b, "é".b])
    end

    it "may be rendered in any encoding" do
      text = told do |config|
        config.on_response do |response, responder|
          responder.render(text: "é", headers: { "x-a" => ["é", response["x-bin"]] })
        end
      end
      expect(text.scan(/^x-a: (.*)\r$/i).flatten).to eq(["é".b, "caf\xE9".b])
    end

    it "that cannot be written is the answer of an error, not an empty one" do
      refusing = ->(original, *head) { head[0] == 200 ? raise("no") : original.call(*head) }
      allow(Rack::StreamingProxy::Delivery::RawResponse)
        .to receive(:head).and_wrap_original(&refusing)
      expect(told).to start_with("HTTP/1.1 500 ")
      expect(told { |config| config.on_response { |_, responder| responder.render(text: "a") } })
        .to start_with("HTTP/1.1 500 ")
    end
  end

  describe "what is no StandardError" do
    %i[on_response on_headers].each do |moment|
      it "is answered, and told, as any error is: #{moment}" do
        error = nil
        text = told do |config|
          config.public_send(moment) { raise NotImplementedError, "by a callback" }
          config.on_error { |e| error = e }
        end
        expect(text).to start_with("HTTP/1.1 500 ")
        expect(error).to be_a(NotImplementedError)
        await_log(/Failed .* \(status 500, .*: NotImplementedError/)
      end
    end

    it "leads to on_error where the server writes, too" do
      fetch = described_class.new(@upstream.url, env_for, logger: @logger) do |config|
        config.on_response { raise NotImplementedError, "by a callback" }
      end
      expect(fetch.call.first).to eq(500)
    end

    it "in on_error leaves the answer of the error" do
      text = told do |config|
        config.on_response { raise "by a callback" }
        config.on_error { raise NotImplementedError, "by another" }
      end
      expect(text).to start_with("HTTP/1.1 500 ")
      await_log(/on_error failed: NotImplementedError/)
    end

    it "in on_complete does not hide the response's end" do
      told { |config| config.on_complete { raise NotImplementedError, "by a callback" } }
      await_log(/on_complete failed: NotImplementedError/)
      await_log(/Finishing/)
    end

    it "such as the thread's end in on_complete does not hide the response's either" do
      expect(told { |config| config.on_complete { Thread.exit } }).to end_with("hello")
      await_log(/Finishing .*status 200/)
    end

    it "such as the thread's end closes the connection, and the log has its line" do
      expect(told { |config| config.on_response { Thread.exit } }).to eq("")
      await_log(/Finishing .*status none.*given up before its head/)
    end
  end

  describe "when the engine has ended before the thread goes on that has handed over" do
    before do
      allow_any_instance_of(Rack::StreamingProxy::Session)
        .to receive(:deliver).and_wrap_original do |original, *arguments, &report|
          original.call(*arguments, &report).tap { |done| await_log(/(Finishing|Failed) /) if done }
        end
    end

    it "leaves nothing to on_error" do
      closed = nil
      text = told("/cut") { |config| config.on_error { |_, responder| closed = responder.closed? } }
      expect([text[-5..], closed]).to eq(["hello", true])
    end

    # A reset would take with it what a slow client has not got yet.
    it "does not reset what the connection's end has ended" do
      cuts = [] # by this thread
      allow_any_instance_of(Rack::StreamingProxy::Server::Generic)
        .to receive(:release).and_wrap_original do |original, io, cut:|
          cuts << cut
          original.call(io, cut:)
        end
      expect(told("/chunked", version: "1.0")).to end_with("\r\n\r\nhelloworld")
      expect(cuts).to be_empty
    end
  end

  it "answers, and calls on_error once, though the logger raises" do
    def @logger.error(*) = raise("full")
    errors = []
    expect do
      text = told do |config|
        config.on_response { raise "by a callback" }
        config.on_error { |error| errors << error.message }
      end
      expect(text).to start_with("HTTP/1.1 500 ")
    end.to output(/the logger failed: RuntimeError: full/).to_stderr
    expect(errors).to eq(["by a callback"])
  end
end
