# frozen_string_literal: true

# What Active Support and the log are told of a request, on whatever threads a server has it begin
# and end.
RSpec.shared_examples "instrumentation" do |profile|
  once do
    @server = start_server(profile.kind,
                           profile.rackup(above: ToldRequest::SUBSCRIBERS))
  end

  # Milliseconds for which each stream lasts at least.
  least = 200

  # An upstream that sends some of a body, and goes on as the block says.
  def begun_upstream
    start_upstream do |connection|
      connection.read_request
      connection.begin_chunked
      connection.chunk("first")
      yield connection
    end
  end

  # @return [RawClient] which has read what there is at first
  def ask_and_begin(upstream, *request)
    @asked = Deadline.now
    ask(upstream, *request).tap do |client|
      client.read_head
      expect(client.read_exactly(5)).to eq("first") unless client.head.chunked?
      expect(client.read_chunk).to eq("first") if client.head.chunked?
    end
  end

  define_method(:expect_told_once) do |upstream, line, **facts|
    told = ToldRequest.await(@server.output, upstream.url("/path"))
    most = (Deadline.now - @asked) * 1000
    facts = { "upstream" => upstream.url(""), "status" => 200, "attempts" => 1, **facts }
    expect(told).to have_attributes(lines: match([line]), events: match([include(facts)]),
                                    times: match([be_between(least, most)] * 2))
    expect(@server.output.to_s).not_to match(/subscriber failed|Could not log/)
  end

  it "tells once of a response that ended whole" do
    upstream = begun_upstream do |connection|
      sleep least / 1000.0 # What is measured has to last.
      connection.end_chunked
      connection.wait_for_end
    end
    client = ask_and_begin(upstream, "POST", {}, "text")
    expect(outcome(client, begun: "first").whole).to be(true)
    expect_told_once(upstream, /\AFinishing .*POST .*status 200, 5 bytes, \d+ ms, 1 attempt\)\z/,
                     "method" => "POST", "bytes_up" => 4, "bytes_down" => 5, "complete" => true)
  end

  it "tells once of one that was cut short" do
    upstream = begun_upstream { sleep least / 1000.0 }
    expect(outcome(ask_and_begin(upstream), begun: "first").whole).to be(false)
    expect_told_once(upstream, /\AFailed .*GET .*status 200, 5 bytes/,
                     "complete" => false, "error" => "Rack::StreamingProxy::ProtocolError")
  end

  silent = ->(connection) { connection.wait_for_end }
  busy = lambda do |connection|
    connection.chunk("tick") until connection.wait_for_end(within: 0.05)
  rescue SystemCallError
    nil # It has ended while this was written.
  end

  { "is silent" => silent, "goes on" => busy }.each do |how, script|
    it "tells once, and of no error, of one whose client has left while the upstream #{how}" do
      upstream = begun_upstream(&script)
      client = ask_and_begin(upstream)
      sleep least / 1000.0
      client.close
      expect_told_once(upstream, /\A(?:Finishing|Failed) .*GET .*status 200, \d+ bytes/,
                       "complete" => false)
      expect(@server.output.to_s).not_to match(/ERROR -- : \[Rack.*#{upstream.url("")}/)
      expect(@server.output.to_s).not_to match(/^error .*#{upstream.url("")}/)
    end
  end
end
