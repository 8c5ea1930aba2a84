# frozen_string_literal: true

RSpec.describe "The setting on_request" do
  let(:upstream) { serving { [200, {}, "answered"] } }

  # @return [RawHead] what goes up when the callable has changed it
  def sent(env = {}, **settings, &on_request)
    fetch(bare(on_request:, **settings) { upstream.url }, "/", env)
    upstream.wait_for_request
  end

  it "gets the client's header fields, and those of `headers`, by name without regard to case" do
    seen = nil
    sent({ "HTTP_X_CLIENT" => "a", "HTTP_COOKIE" => "b=c", "HTTP_X_CLEARED" => "d",
           "CONTENT_TYPE" => "text/plain" },
         headers: { "X-Set" => "e", "X-Cleared" => nil }) { |headers| seen = headers }
    expect(seen.to_h).to include("x-client" => "a", "cookie" => "b=c", "x-set" => "e",
                                 "content-type" => "text/plain")
    expect(seen["X-Client"]).to eq("a")
    expect(seen.key?("x-cleared")).to be(false)
  end

  it "does not get those that are not its to change", id: "HH1" do
    seen = nil
    sent({ "HTTP_CONNECTION" => "close", "HTTP_TE" => "trailers", "HTTP_UPGRADE" => "x",
           "HTTP_HOST" => "front.test", :input => "body" }) { |headers| seen = headers.keys }
    expect(seen & %w[connection te upgrade host content-length]).to be_empty
  end

  it "adds, replaces and clears header fields" do
    head = sent({ "HTTP_TRACEPARENT" => "old", "HTTP_X_GONE" => "1", "HTTP_X_NIL" => "2",
                  "HTTP_X_KEPT" => "3" }) do |headers|
      headers["traceparent"] = "new"
      headers["X-Added"] = "4"
      headers["X-Several"] = %w[5 6]
      headers.delete("x-gone")
      headers["x-nil"] = nil
    end
    expect(head.all("traceparent")).to eq(["new"])
    expect(head.all("x-several")).to eq(%w[5 6])
    expect([head["x-added"], head["x-kept"]]).to eq(%w[4 3])
    expect(head.names & %w[x-gone x-nil]).to be_empty
  end

  it "wins over `headers`, and may set Host to one host" do
    head = sent(headers: { "X-Set" => "a", "Host" => "set.test" }) do |headers|
      headers["x-set"] += "b"
      headers["Host"] = "told.test"
    end
    expect(head.all("x-set")).to eq(["ab"])
    expect(head.all("host")).to eq(["told.test"])
  end

  it "concerns its own request only" do
    count = 0
    app = bare(on_request: ->(headers) { headers["X-Count"] = (count += 1).to_s }) { upstream.url }
    2.times { fetch(app) }
    expect(upstream.requests.map { |request| request.all("x-count") }).to eq([["1"], ["2"]])
    expect(upstream.connections.size).to eq(1)
  end

  it "runs once for a request that is sent again" do
    calls = 0
    count = 0
    failing = serving { (count += 1) < 3 ? [503, {}, ""] : [200, {}, ""] }
    on_request = ->(_) { calls += 1 }
    fetch(bare(on_request:, num_retries_on_5xx: 2, retry_delay: 0) { failing.url })
    expect([calls, failing.requests.size]).to eq([1, 3])
  end

  it "runs on the thread of the request, before the upstream is asked" do
    thread = nil
    sent { thread = Thread.current if upstream.connections.empty? }
    expect(thread).to eq(Thread.current)
  end

  it "does not run where the upstream is not asked" do
    calls = 0
    app = bare(on_request: ->(_) { calls += 1 }, allow_trace: false) { upstream.url }
    fetch(app, "/", method: "TRACE")
    fetch(app, "/", "HTTP_HOST" => "two hosts")
    expect(calls).to eq(0)
  end

  it "raises to the application, and nothing is asked" do
    app = bare(on_request: ->(_) { raise KeyError, "whose?" }) { upstream.url }
    expect { fetch(app) }.to raise_error(KeyError, "whose?")
    expect(upstream.connections).to be_empty
  end

  { "a hop-by-hop field" => { "Connection" => "close" }, "framing" => { "Content-Length" => "3" },
    "Transfer-Encoding" => { "transfer-encoding" => "chunked" }, "TE" => { "te" => "trailers" },
    "two hosts" => { "Host" => %w[a.test b.test] }, "no host" => { "Host" => "a b" },
    "an expectation" => { "Expect" => "100-continue" }, "a line end" => { "X-A" => "a\r\nX-B: c" },
    "a name that is none" => { "X A" => "a" }, "a number" => { "X-A" => 5 } }.each do |what, fields|
    it "is refused #{what}, with a ConfigurationError that names the field", id: "HH1" do
      app = bare(on_request: ->(headers) { headers.update(fields) }) { upstream.url }
      message = /\Aon_request: the header "#{fields.keys.first}"/i
      expect { fetch(app) }.to raise_error(Rack::StreamingProxy::ConfigurationError, message)
      expect(upstream.connections).to be_empty
    end
  end

  it "does not print the value of a field that is refused" do
    app = bare(on_request: ->(headers) { headers["X-Key"] = "s3cret\n\x00" }) { upstream.url }
    expect { fetch(app) }.to raise_error(Rack::StreamingProxy::ConfigurationError) do |error|
      expect(error.message).not_to include("s3cret")
    end
  end

  describe "and what passes on of itself" do
    it "leaves traceparent, tracestate and the client's request id as they came" do
      fields = { "traceparent" => "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                 "tracestate" => "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7",
                 "x-request-id" => "id 1!" }
      env = fields.transform_keys { |name| "HTTP_#{name.upcase.tr("-", "_")}" }
      fetch(bare { upstream.url }, "/", env)
      head = upstream.wait_for_request
      expect(fields.keys.to_h { |name| [name, head.all(name).join("|")] }).to eq(fields)
    end

    it "sends Rails' request id in place of the client's" do
      fetch(bare { upstream.url }, "/", "HTTP_X_REQUEST_ID" => "id 1!",
                                        "action_dispatch.request_id" => "id1")
      expect(upstream.wait_for_request.all("x-request-id")).to eq(["id1"])
    end
  end
end
