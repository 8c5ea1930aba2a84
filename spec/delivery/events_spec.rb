# frozen_string_literal: true

# What the event of a request says of who has written its response.
RSpec.describe "The event's :delivery" do
  include Tunnels

  let(:upstream) { serving { [200, {}, "text"] } }
  let!(:events) { keep(EventRecorder.new("request.streaming_proxy")) }

  def app(delivery)
    bare(delivery:) { upstream.url("/") }
  end

  # @return [Array(Symbol, Integer)] what has been told when the exchange is over
  def told
    expect(Deadline.new(10).poll { events.events.any? }).to be(true)
    events.payloads.map { |payload| payload.values_at(:delivery, :status) }.first
  end

  it "is :hijack for what the engine has written" do
    server, client = socket_pair
    hand_over(answer_offered(app(:hijack)), server)
    expect([client.read, told]).to eq(["text", [:hijack, 200]])
  end

  it "is :body where a middleware outside takes the body" do
    expect(read(answer_offered(app(:hijack)).last)).to eq("text")
    expect(told).to eq([:body, 200])
  end

  it "is :body where the body is closed unread" do
    answer_offered(app(:hijack)).last.close
    expect(told).to eq([:body, 200])
  end

  it "is :body where Ruby writes, for want of a socket of the system's" do
    sink = StringIO.new(+"")
    hand_over(answer_offered(app(:hijack)), sink)
    expect([sink.string, told]).to eq(["text", [:body, 200]])
  end

  it "is :early for what has left before its head" do
    server, client = socket_pair
    app(:early).call(env_for("/", handing(server)))
    expect([client.read[-4..], told]).to eq(["text", [:early, 200]])
  end

  it "is :body where nothing could leave" do
    sink = StringIO.new(+"")
    app(:early).call(env_for("/", handing(sink)))
    expect([sink.string[-4..], told]).to eq(["text", [:body, 200]])
  end

  it "is that of what has gone well, though its thread is interrupted behind it" do
    errors = keep(EventRecorder.new("error.streaming_proxy"))
    thread = Thread.current
    sink = StringIO.new(+"")
    closing = receive(:close).and_wrap_original do |close|
      close.call
      Thread.new { thread.raise(Timeout::Error) }.join
    end
    allow(sink).to closing
    expect { app(:early).call(env_for("/", handing(sink))) }.to raise_error(Timeout::Error)
    expect([sink.string[-4..], told, errors.events]).to eq(["text", [:body, 200], []])
  end

  it "is :body for a tunnel that could not be" do
    sink = StringIO.new(+"")
    upstream = echoing
    upgrade_in_process(bare { upstream.url("/") }, {}, sink)
    expect(told).to eq([:body, 503])
  end
end
