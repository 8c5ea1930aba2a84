# frozen_string_literal: true

# No release of Debian has Pitchfork: its adaptation is run with an env like the one that Pitchfork
# 0.18 gives, whose TimeoutHandler is written again here from its source.
RSpec.describe "Pitchfork" do
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
end
