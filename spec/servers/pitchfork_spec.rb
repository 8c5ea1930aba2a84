# frozen_string_literal: true

# No release of Debian has Pitchfork: its adaptation is run with an env like the one that Pitchfork
# 0.18 gives, whose TimeoutHandler is written again here from its source.
RSpec.describe "Pitchfork" do
  include Tunnels

  timeout_handler = Class.new do
    attr_reader :deadline, :extensions

    def initialize(seconds)
      @deadline = Deadline.now + seconds
      @extensions = []
    end

    def extend_deadline(seconds)
      @extensions << Integer(seconds)
      @deadline += seconds
      self
    end
  end

  define_method(:answer) do |handler, upstream|
    env = env_for("/", "SERVER_SOFTWARE" => "Pitchfork 6.1.0", "pitchfork.timeout" => handler)
    status, _, body = bare { upstream.url }.call(env)
    [status, read(body)]
  end

  it "is asked for time while the head is awaited" do
    said = EventQueue.new("sign to answer")
    upstream = start_upstream do |connection|
      connection.read_head
      said.pop
      connection.respond(200, {}, "late")
    end
    handler = timeout_handler.new(0.5)
    caller = in_thread { answer(handler, upstream) }
    expect(Deadline.new(10).poll { handler.extensions.any? }).to be(true)
    expect(handler.deadline - Deadline.now).to be > 1
    said << true
    expect(caller.value).to eq([200, "late"])
  end

  it "is asked again and again while a stream lasts" do
    said = EventQueue.new("sign to go on")
    upstream = start_upstream do |connection|
      connection.read_head
      connection.begin_chunked
      connection.chunk("first")
      said.pop(within: 20)
      connection.end_chunked
    end
    handler = timeout_handler.new(1)
    caller = in_thread { answer(handler, upstream) }
    expect(Deadline.new(20).poll { handler.extensions.size >= 2 }).to be(true)
    said << true
    expect(caller.value).to eq([200, "first"])
    expect(handler.extensions).to all(be_an(Integer).and(be_positive))
  end

  it "is asked for nothing that is not needed" do
    upstream = serving { [200, {}, "quick"] }
    handler = timeout_handler.new(20)
    expect(answer(handler, upstream)).to eq([200, "quick"])
    expect(handler.extensions).to eq([])
  end

  # As Pitchfork::HttpParser: `rack.hijack` is the parser itself, which has what has been read.
  parser = Struct.new(:buf, :socket) do
    def call = socket
  end

  { "itself" => ->(given) { given }, "behind Rack::Lint" => lambda { |given|
    original_hijack = given
    -> { original_hijack.call }
  } }.each do |how, wrap|
    it "hands over what a client has sent right behind its handshake: #{how}", id: "WS3" do
      socket, client = socket_pair
      env = { "pitchfork.timeout" => timeout_handler.new(20), "rack.hijack?" => true,
              "rack.hijack" => wrap.call(parser.new("early", socket)),
              "HTTP_CONNECTION" => "upgrade", "HTTP_UPGRADE" => "websocket" }
      answer = bare { echoing.url }.call(env_for("/", env))
      expect(answer).to eq([200, {}, []])
      client = RawClient.new(client)
      expect(client.read_head.status).to eq(101)
      client.write("later")
      expect(client.read_exactly(10)).to eq("earlylater")
    end
  end
end
