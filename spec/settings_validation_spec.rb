# frozen_string_literal: true

RSpec.describe Rack::StreamingProxy::Proxy, "and wrong settings" do
  error = Rack::StreamingProxy::ConfigurationError

  ways = {
    "a keyword" => ->(given) { Rack::StreamingProxy::Proxy.new(InnerApp, **given) { nil } },
    "a class accessor" => lambda { |given|
      subclass = Class.new(Rack::StreamingProxy::Proxy)
      given.each { |name, value| subclass.public_send("#{name}=", value) }
    },
    "an option of Target" => lambda { |given|
      Rack::StreamingProxy::Target.new("http://127.0.0.1/", **given)
    }
  }

  wrong = {
    log_verbosity: [:medium, "loud", 1],
    num_retries_on_5xx: [-1, "2", 1.5, Object],
    retry_delay: [-1, "1", Float::NAN, Float::INFINITY],
    raise_on_5xx: ["yes", 1],
    raise_on_error: ["no", :yes],
    headers: ["X: y", [], { "X Y" => "1" }, { "X" => 1 }, { "X" => "a\r\nB: c" }, { "X\n" => "a" },
              { "" => "x" }, { "Host" => "a b" }, { "host" => "a, b" }, { "Host" => %w[a b] },
              { "Host" => "a\nb" }, { "Host" => "" }, { "Host" => nil },
              { "Expect" => "100-continue" }],
    preserve_host: ["yes", 0],
    x_forwarded: [:maybe, "append ", true],
    via: ["yes", "1.1 me"],
    max_hops: [-1, "5", nil, 1.5],
    trust_upstream: [:yes],
    connect_timeout: [-1, "5", 0, Float::NAN],
    timeout: [-1, "30", :forever],
    idle_timeout: [-1, -0.1, "x", 0, 1e19, 1e300, Float::NAN, Float::INFINITY],
    total_timeout: [-1, [], 0],
    verify_ssl: ["false", :none],
    ca_file: [5, "/no/such/file.pem", "a\0b", "/proc/self/mem"],
    tls_sni: ["", "a b", 5, "https://a.test", "a\nb", "#{"a." * 127}test", "#{"a" * 64}.test"],
    client_cert: [5, "/no/such/file.pem", __FILE__],
    client_key: [5, "/no/such/file.pem", __FILE__],
    min_tls_version: ["1.1", 1.4, :SSLv3, nil],
    allow_destinations: [nil, :all, "10.0.0.0/33", []],
    http2: ["auto", true, false, nil, :sometimes],
    socket: ["", 5, false, "a\0b", "/#{"s" * 103}"],
    max_idle_connections: [-1, "3", 1.5],
    idle_connection_timeout: [-1, "3", 1e19, 1e300, Float::NAN, Float::INFINITY],
    max_connections: [0, -1, "3", 1.5, nil],
    connection_wait: [-1, "1", nil, Float::NAN, Float::INFINITY],
    max_waiting_requests: [-1, "1", nil, 1.5, 1 << 31],
    max_connection_age: [0, -1, "1", Float::NAN, Float::INFINITY],
    max_connection_requests: [0, -1, "1", 1.5, 1 << 31],
    max_request_body: [-1, "1", 1.5, false, 1 << 63],
    max_response_body: [-1, "1", 1.5, false, 1 << 63],
    max_headers: [0, 1025, "1", nil, 1.5],
    max_header_bytes: [0, 122_881, "1", nil, 1.5],
    max_interim_responses: [-1, "1", nil, 1.5, 1 << 31],
    allow_trace: [nil, "false", 0, :no],
    delivery: ["hijack", true, false, nil, :always],
    auto_hijack_above: [-1, "1", nil, 1.5],
    send_timeout: [0, -1, "1", Float::NAN, Float::INFINITY],
    min_send_rate: [0, -1, "1", 1.5],
    max_streams: [0, -1, "1", 1.5],
    drain_timeout: [-1, "1", nil, Float::NAN, Float::INFINITY],
    allow_upgrade: ["websocket", nil, 1, [:websocket], ["h2c"], ["TLS/1.0"], ["a b"]],
    tunnel_timeout: [0, -1, "1", Float::NAN, Float::INFINITY],
    on_request: ["puts", :puts, 5, true, []],
    on_complete: ["puts", :puts, 5, true, []]
  }

  wrong.each do |setting, values|
    values.each do |value|
      ways.each do |way, give|
        it "refuses #{setting}: #{value.inspect[0, 40]} as #{way}" do
          expect { give.call({ setting => value }) }.to raise_error(error) { |raised|
            expect(raised.message).to include(setting.to_s)
            expect(raised.message).to include(value.inspect[0, 100]) unless value.is_a?(Hash)
          }
        end
      end
    end
  end

  it "are tried of every setting" do
    expect(wrong.keys + [:logger]).to match_array(Rack::StreamingProxy::Settings::ALL.keys)
  end

  it "may be right for Host and Expect too" do
    [{ "Host" => "a.test:81" }, { "Host" => ["a.test"] }, { "Expect" => nil }].each do |headers|
      expect { ways.fetch("a keyword").call({ headers: }) }.not_to raise_error
    end
  end

  it "refuses a logger that cannot log" do
    expect { ways.fetch("a keyword").call({ logger: 5 }) }.to raise_error(error, /logger.*5/)
  end

  ["a keyword", "an option of Target"].each do |way|
    it "refuses an unknown setting as #{way}, naming it" do
      expect { ways.fetch(way).call({ frobnicate: 7 }) }.to raise_error(error, /frobnicate/)
    end

    it "says which of ours open_timeout means as #{way}" do
      expect { ways.fetch(way).call({ open_timeout: 3 }) }
        .to raise_error(error, /open_timeout.*connect_timeout/m)
    end

    it "says which of ours read_timeout means as #{way}" do
      expect { ways.fetch(way).call({ read_timeout: 3 }) }
        .to raise_error(error, /read_timeout.*(idle_)?timeout/m)
    end
  end

  it "has no accessor for an unknown setting" do
    expect { described_class.frobnicate = 1 }.to raise_error(NoMethodError)
  end

  it "refuses a middleware that has nothing to decide with" do
    expect { described_class.new(InnerApp) }.to raise_error(error, /block/)
    expect { Class.new(described_class).new(InnerApp) }.to raise_error(error, /block/)
  end

  it "does not print secrets" do
    expect { ways.fetch("a keyword").call({ headers: { "Authorization" => "Bearer s3cret\r\n" } }) }
      .to raise_error(error) { |raised| expect(raised.message).not_to include("s3cret") }
  end

  ["http://admin:my pw-1@host/x", "http://admin:pw-1/pw-2@host/", "admin:pw-1@host/x",
   "http:/admin:pw-1@host", "http://a:pw-1\"pw-2@host"].each do |url|
    it "does not print the password of #{url.inspect}" do
      expect { Rack::StreamingProxy::Target.new(url) }
        .to raise_error(error) { |raised| expect(raised.message).not_to match(/pw-\d/) }
    end
  end

  { "a Hash" => { password: "s3cret" }, "an Array of one" => [{ password: "s3cret" }],
    "a Struct" => Struct.new(:password).new("s3cret") }.each do |what, value|
    it "does not print the content of #{what} that the block returns" do
      expect { fetch(bare { value }) }
        .to raise_error(error) { |raised| expect(raised.message).not_to include("s3cret") }
    end
  end

  it "cuts long values to 200 bytes" do
    expect { ways.fetch("a keyword").call({ timeout: "x" * 100_000 }) }
      .to raise_error(error) { |raised|
        expect(raised.message).to include("timeout", "x" * 100)
        expect(raised.message.bytesize).to be < 600
      }
  end

  it "takes whole numbers and floats for seconds, and nil for none" do
    [30, 0.5, nil].each do |seconds|
      %i[connect_timeout timeout idle_timeout total_timeout].each do |setting|
        expect { ways.fetch("a keyword").call({ setting => seconds }) }.not_to raise_error
      end
    end
  end

  it "takes timeout: 0, which has a meaning" do
    expect { ways.fetch("a keyword").call({ timeout: 0 }) }.not_to raise_error
  end

  it "answers timeout: 0 at once with 504" do
    upstream = serving { [200, {}, ""] }
    answer = nil
    expect(elapsed { answer = fetch(bare(timeout: 0) { upstream.url }) }).to be < 5
    expect(answer.status).to eq(504)
  end

  it "refuses a ca_file without certificates, at the latest at the first request" do
    expect { fetch(bare(ca_file: __FILE__) { "https://127.0.0.1:#{closed_port}/" }) }
      .to raise_error(error, /ca_file/)
  end

  it "does not keep or change the Hash of headers that it is given" do
    upstream = serving { [200, {}, ""] }
    headers = { "X-A" => "1" }
    app = bare(headers:) { upstream.url }
    headers["X-A"] = "changed"
    fetch(app)
    expect(upstream.wait_for_request["x-a"]).to eq("1")
    expect(headers).to eq("X-A" => "changed")
  end
end
