# frozen_string_literal: true

RSpec.describe Rack::StreamingProxy::Proxy, "and forwarding" do
  let(:upstream) { serving { [200, {}, "ok"] } }

  # The head that arrives upstream for an env, with these settings.
  def forwarded(env = {}, **settings)
    fetch(bare(**settings) { upstream.url }, "/", env)
    upstream.wait_for_request
  end

  describe "the host" do
    let(:client) { { "HTTP_HOST" => "front.test:8080" } }

    it "is the upstream's, with its port", id: "FW1" do
      expect(forwarded(client).all("host")).to eq(["127.0.0.1:#{upstream.port}"])
    end

    it "is the client's with preserve_host", id: "FW1" do
      expect(forwarded(client, preserve_host: true).all("host")).to eq(["front.test:8080"])
    end

    it "is what headers: says before all" do
      head = forwarded(client, preserve_host: true, headers: { "Host" => "own.test" })
      expect(head.all("host")).to eq(["own.test"])
    end
  end

  describe "X-Forwarded-For" do
    let(:env) { { "REMOTE_ADDR" => "127.0.0.5" } }
    let(:chained) { env.merge("HTTP_X_FORWARDED_FOR" => "10.0.0.1, 10.0.0.2") }

    it "is the client's address", id: "FW3" do
      expect(forwarded(env).all("x-forwarded-for")).to eq(["127.0.0.5"])
    end

    it "is appended to the chain", id: "FW3" do
      expect(forwarded(chained).all("x-forwarded-for"))
        .to eq(["10.0.0.1, 10.0.0.2, 127.0.0.5"])
    end

    it "replaces the chain with :replace", id: "FW3" do
      expect(forwarded(chained, x_forwarded: :replace).all("x-forwarded-for"))
        .to eq(["127.0.0.5"])
    end

    it "is left to the client with :off", id: "FW3" do
      expect(forwarded(env, x_forwarded: :off).all("x-forwarded-for")).to be_empty
    end
  end

  describe "X-Forwarded-For of a peer that has no address" do
    [nil, ""].each do |address|
      it "is what came, with nothing added (REMOTE_ADDR #{address.inspect})", id: "FW5" do
        env = { "REMOTE_ADDR" => address, "HTTP_X_FORWARDED_FOR" => "10.0.0.1" }
        expect(forwarded(env).all("x-forwarded-for")).to eq(["10.0.0.1"])
        expect(forwarded(env, x_forwarded: :replace).names).not_to include("x-forwarded-for")
      end
    end
  end

  it "keeps what names a request and its trace, and invents none", id: "FW9" do
    named = { "HTTP_X_REQUEST_ID" => "r-1", "HTTP_X_REQUEST_START" => "t=1",
              "HTTP_TRACESTATE" => "a=b",
              "HTTP_TRACEPARENT" => "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" }
    head = forwarded(named.dup)
    named.each { |key, value| expect(head[key.delete_prefix("HTTP_").tr("_", "-")]).to eq(value) }
    expect(forwarded.names).not_to include("x-request-id", "x-request-start", "traceparent")
  end

  describe "X-Forwarded-Proto and -Host" do
    let(:env) { { "HTTP_HOST" => "front.test", "rack.url_scheme" => "https" } }
    let(:inbound) do
      env.merge("HTTP_X_FORWARDED_PROTO" => "http", "HTTP_X_FORWARDED_HOST" => "outer.test")
    end

    it "are scheme and host of the request", id: "FW4" do
      head = forwarded(env)
      expect(head["x-forwarded-proto"]).to eq("https")
      expect(head["x-forwarded-host"]).to eq("front.test")
    end

    it "keep the values that came", id: "FW4" do
      head = forwarded(inbound)
      expect(head.all("x-forwarded-proto")).to eq(["http"])
      expect(head.all("x-forwarded-host")).to eq(["outer.test"])
    end

    it "are only ours with :replace", id: "FW4" do
      head = forwarded(inbound, x_forwarded: :replace)
      expect(head.all("x-forwarded-proto")).to eq(["https"])
      expect(head.all("x-forwarded-host")).to eq(["front.test"])
    end

    it "are not added with :off", id: "FW4" do
      expect(forwarded(env, x_forwarded: :off).names.grep(/x-forwarded/)).to be_empty
    end
  end

  describe "Via" do
    it "names the version as received and no host", id: "FW6" do
      expect(forwarded({ "SERVER_PROTOCOL" => "HTTP/1.1", "HTTP_VERSION" => "HTTP/1.1" })["via"])
        .to match(/\A1\.1 [\w.-]+\z/)
    end

    it "is appended to what came", id: "FW6" do
      expect(forwarded({ "HTTP_VIA" => "1.0 other" })["via"])
        .to match(/\A1\.0 other, 1\.[01] \S+\z/)
    end

    it "is not added with via: false", id: "FW6" do
      expect(forwarded({}, via: false)["via"]).to be_nil
      expect(forwarded({ "HTTP_VIA" => "1.0 other" }, via: false)["via"]).to eq("1.0 other")
    end

    it "is not added to responses", id: "FW6" do
      expect(fetch(linted { upstream.url })["Via"]).to be_nil
    end

    it "ends a loop of our own with 508", id: "FW7" do
      rackup = RackupText.proxy.gsub('ENV.fetch("UPSTREAM")', '"http://" + request.host_with_port')
      server = start_puma(rackup, threads: 16)
      client = connect(server)
      client.get("/loop", { "Host" => "127.0.0.1:#{server.port}" })
      expect(client.read_response.status).to eq(508)
    end
  end

  describe "headers:" do
    it "sets a header over the client's" do
      head = forwarded({ "HTTP_X_KEY" => "client" }, headers: { "X-Key" => "ours" })
      expect(head.all("x-key")).to eq(["ours"])
    end

    it "clears with nil" do
      head = forwarded({ "HTTP_X_KEY" => "client", "HTTP_COOKIE" => "a=1" },
                       headers: { "x-key" => nil, "Cookie" => nil })
      expect(head.names).not_to include("x-key", "cookie")
    end

    it "may clear what the proxy would add" do
      head = forwarded({}, headers: { "Via" => nil, "X-Forwarded-For" => nil })
      expect(head.names).not_to include("via", "x-forwarded-for")
    end
  end

  it "puts a name that came with an underscore over no field of ours", id: "HH15" do
    head = forwarded({ "HTTP_X_FORWARDED_FOR" => "6.6.6.6", "REMOTE_ADDR" => "127.0.0.5" },
                     x_forwarded: :replace)
    expect(head.pairs.count { |name, _| name.tr("_", "-").casecmp?("x-forwarded-for") }).to eq(1)
  end
end
