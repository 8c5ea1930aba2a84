# frozen_string_literal: true

RSpec.describe Rack::StreamingProxy::Proxy, "and allow_destinations" do
  refused = Rack::StreamingProxy::DestinationRefused

  let(:upstream) { serving { |request| [200, {}, "got #{request.body}"] } }

  def to(host, **settings)
    bare(raise_on_error: true, **settings) { "http://#{host}:#{upstream.port}/" }
  end

  # The upstream has not even been connected to.
  def expect_refusal(app)
    expect { fetch(app) }.to raise_error(Rack::StreamingProxy::DestinationRefused)
    expect(upstream.connections).to be_empty
  end

  {
    "127.0.0.1" => [:default, :any, "127.0.0.1", "127.0.0.0/8", "127.9.9.9/8", "0.0.0.0/0",
                    "::ffff:127.0.0.1", "::ffff:127.0.0.0/104", [:public, "127.0.0.1"],
                    ["10.0.0.0/8", "files.internal", "127.0.0.0/30"], [:any]],
    "localhost" => ["localhost", "LOCALHOST", "localhost.", [:public, "localhost"],
                    ["127.0.0.0/8", "::1"]],
    "LocalHost" => ["localhost"]
  }.each do |host, values|
    values.each do |value|
      it "lets #{value.inspect} reach #{host}", id: "SS2" do
        expect(fetch(to(host, allow_destinations: value)).status).to eq(200)
      end
    end
  end

  {
    "127.0.0.1" => [:public, "127.0.0.2", "10.0.0.0/8", "::/0", "localhost", "fd00::/8",
                    [:public, "10.0.0.0/8", "files.internal"]],
    "localhost" => [:public, "local", "x.localhost", "10.0.0.0/8"]
  }.each do |host, values|
    values.each do |value|
      it "does not let #{value.inspect} reach #{host}", id: %w[SS2 SS3] do
        expect_refusal(to(host, allow_destinations: value))
      end
    end
  end

  ["127.0.0.1", "127.1", "127.0.1", "0177.0.0.1", "0x7f000001", "0x7f.1", "2130706433",
   "017700000001", "localhost", "LOCALHOST", "[::ffff:7f00:1]", "[::ffff:127.0.0.1]",
   "[0:0:0:0:0:FFFF:127.0.0.1]", "user@127.1", "8.8.8.8@127.0.0.1"].each do |host|
    it "knows #{host} for the loopback address that it is", id: "SS4" do
      expect_refusal(to(host, allow_destinations: :public))
      expect(fetch(to(host)).status).to eq(200)
    end
  end

  ["127.0.0.1.", "localhost.", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]",
   "[2002:7f00:1::1]", "[2001:0:7f00:1::8080]", "[::ffff:0:127.0.0.1]", "0", "[::]", "[::1]",
   "[fd00::1]"].each do |host|
    it "does not let :public reach #{host}", id: %w[SS3 SS4] do
      # Resolvers differ in whether they know such a name with the root's dot.
      errors = host.end_with?(".") ? [refused, Rack::StreamingProxy::ConnectError] : [refused]
      expect { fetch(to(host, allow_destinations: :public)) }
        .to raise_error(Rack::StreamingProxy::UpstreamError) { |error|
          expect(errors).to include(error.class)
        }
      expect(upstream.connections).to be_empty
    end
  end

  ["１２７.0.0.1", "127。0。0。1", "loc\u00ADalhost", "%31%32%37.0.0.1", "127.0.0.1%00", "[127.0.0.1]",
   "[::ffff:127.1]", "[::1%25lo]", "[::1%1]", "a@b@127.0.0.1", "files.internal\\@127.0.0.1",
   "127.0.0.1\\.files.internal", "127.0.0.1\t", "\n127.0.0.1"].each do |host|
    it "does not take #{host.inspect} for a host", id: %w[SS1 SS4] do
      expect { fetch(to(host)) }.to raise_error(Rack::StreamingProxy::ConfigurationError)
      expect(upstream.connections).to be_empty
    end
  end

  ["169.254.169.254", "0xa9fea9fe", "2852039166", "[::ffff:169.254.169.254]", "[::a9fe:a9fe]",
   "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::]", "[2001:0:808:808::5601:5601]", "224.0.0.1",
   "[ff02::1]", "[fe80::1]", "0.0.0.0"].each do |host|
    it "does not reach #{host} unless it is allowed", id: %w[SS3 SS4] do
      ["2000::/3", [:default, "10.0.0.0/8"], :public].each do |value|
        expect { fetch(to(host, allow_destinations: value)) }.to raise_error(refused)
      end
      expect { fetch(to(host)) }.to raise_error(refused)
    end
  end

  it "reaches what is allowed beside the default" do
    value = [:default, "0.0.0.0"]
    expect(fetch(to("0.0.0.0", allow_destinations: value)).status).to eq(200)
  end

  it "tells the rule and the upstream, and nobody the address" do
    app = to("localhost", allow_destinations: [:public, "10.0.0.1/8"])
    expect { fetch(app) }.to raise_error(refused) { |error|
      expect(error.message).to include("localhost:#{upstream.port}", "allow_destinations",
                                       ":public, 10.0.0.0/8")
      expect(error.message).not_to match(/127\.0\.0\.1|::1/)
      expect([error.status, error.phase]).to eq([502, :connect])
      expect(error.upstream).to eq("http://localhost:#{upstream.port}")
    }
    answer = fetch(linted(allow_destinations: :public) { upstream.url })
    expect([answer.status, answer.body]).to eq([502, "502 Bad Gateway"])
  end

  it "does not use a connection that another policy made", id: %w[SS2 CN4] do
    open = to("127.0.0.1")
    strict = to("127.0.0.1", allow_destinations: :public)
    asked = to("127.0.0.1", allow_destinations: ->(*) { false })
    expect(fetch(open).status).to eq(200)
    [strict, asked].each { |app| expect { fetch(app) }.to raise_error(refused) }
    expect(fetch(open).status).to eq(200)
    expect([upstream.requests.size, upstream.connections.size]).to eq([2, 1])
  end

  it "does not judge a Unix socket, which is configuration, nor ask about one", id: "SS5" do
    Dir.mktmpdir do |directory|
      socket = File.join(directory, "app.sock")
      serving(socket:) { |request| [200, {}, "got #{request.body}"] }
      ["10.0.0.0/8", ->(*) { raise "asked" }].each do |value|
        app = bare(socket:, allow_destinations: value) { "http://169.254.169.254/" }
        expect(fetch(app, "/", method: "POST", input: "body").body).to eq("got body")
      end
    end
  end

  it "does not go through a proxy of the environment", id: "CN8" do
    trap = serving { [200, {}, "trapped"] }
    script = <<~RUBY
      app = Rack::StreamingProxy::Proxy.new(nil, logger: Logger.new(nil)) { ARGV.first }
      env = { "REQUEST_METHOD" => "GET", "rack.input" => nil, "HTTP_PROXY" => #{trap.url.inspect} }
      _, _, body = app.call(env)
      body.each { |chunk| print chunk }
    RUBY
    script.sub!("ARGV.first", upstream.url.inspect)
    proxies = %w[http_proxy HTTP_PROXY https_proxy HTTPS_PROXY all_proxy ALL_PROXY]
    result = RubyScript.run(script, env: proxies.to_h { |name| [name, trap.url] })
    expect(result.output).to include("got ")
    expect([upstream.requests.size, trap.connections.size]).to eq([1, 0])
  end

  describe "as a callable" do
    it "is asked with the URL's host and each address, on the thread of the request", id: "SS2" do
      questions = []
      rule = lambda { |host, address|
        questions << [host, address, Thread.current]
        true
      }
      expect(fetch(to("LOCALHOST", allow_destinations: rule)).status).to eq(200)
      expect(questions.map(&:first).uniq).to eq(["LOCALHOST"])
      expect(questions.map { |question| question[1] }).to include(IPAddr.new("127.0.0.1"))
      expect(questions.map(&:last).uniq).to eq([Thread.current])
    end

    it "sees an IPv4 address for what it is, however it is written", id: "SS4" do
      questions = []
      rule = lambda { |_host, address|
        questions << address.to_s
        !address.link_local? && !address.loopback?
      }
      ["127.1", "[::ffff:7f00:1]", "[64:ff9b::a9fe:a9fe]"].each do |host|
        expect_refusal(to(host, allow_destinations: rule))
      end
      expect(questions).to eq(%w[127.0.0.1 127.0.0.1 64:ff9b::a9fe:a9fe 169.254.169.254])
    end

    [false, nil].each do |answer|
      it "refuses with #{answer.inspect}" do
        expect_refusal(to("127.0.0.1", allow_destinations: ->(*) { answer }))
      end
    end

    it "may allow what no default would" do
      expect(fetch(to("0.0.0.0", allow_destinations: ->(*) { :yes })).status).to eq(200)
    end

    it "is asked before the engine connects, and before a byte of the body is read", id: "SS2" do
      reads = 0
      input = Class.new { define_method(:read) { |*| (reads += 1) > 1 ? nil : "body" } }.new
      seen = nil
      rule = lambda { |*|
        seen = [reads, upstream.connections.size]
        true
      }
      env = env_for("/", :method => "POST", "CONTENT_LENGTH" => "4").merge("rack.input" => input)
      _, _, body = to("127.0.0.1", allow_destinations: rule).call(env)
      expect([read(body), seen, reads]).to eq(["got body", [0, 0], 1])
    end

    it "leaves the body alone when it refuses" do
      reads = 0
      input = Class.new { define_method(:read) { |*| reads += 1 } }.new
      env = env_for("/", :method => "POST", "CONTENT_LENGTH" => "4").merge("rack.input" => input)
      expect { to("127.0.0.1", allow_destinations: ->(*) {}).call(env) }.to raise_error(refused)
      expect(reads).to eq(0)
    end

    it "is asked again for a connection that is used again, and for each new one", id: "SS2" do
      asked = 0
      rule = ->(*) { asked += 1 }
      closing = true
      upstream = serving { [closing ? 503 : 200, closing ? { "Connection" => "close" } : {}, ""] }
      app = bare(allow_destinations: rule, num_retries_on_5xx: 2, retry_delay: 0) { upstream.url }
      fetch(app)
      expect([asked, upstream.connections.size]).to eq([3, 3])
      closing = false
      2.times { fetch(app) }
      expect([asked, upstream.connections.size]).to eq([5, 4])
    end

    it "propagates what it raises, and closes the exchange" do
      error = Class.new(StandardError)
      app = bare(allow_destinations: ->(*) { raise error, "no" }) { upstream.url }
      expect { fetch(app) }.to raise_error(error, "no")
      expect(Deadline.new(10).poll { Rack::StreamingProxy.stats[:exchanges].zero? }).to be(true)
      expect(upstream.connections).to be_empty
    end

    it "may take longer than connect_timeout, which is the upstream's", id: "TO1" do
      rule = ->(*) { sleep 1.5 }
      app = bare(allow_destinations: rule, connect_timeout: 1) { upstream.url }
      expect(fetch(app).status).to eq(200)
    end

    it "counts towards total_timeout", id: "TO1" do
      app = bare(allow_destinations: ->(*) { sleep 0.3 }, total_timeout: 0.1) { upstream.url }
      expect(fetch(app).status).to eq(504)
    end

    it "refuses an upload on Unicorn before it is sent" do
      server = start_unicorn(RackupText.proxy("allow_destinations: ->(*) { false }"),
                             env: { "UPSTREAM" => upstream.url("") })
      client = connect(server)
      client.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n" \
                   "Expect: 100-continue\r\n\r\n")
      expect(client.read_response.status).to eq(502)
      expect(upstream.connections).to be_empty
    end
  end

  describe "when it is given" do
    %w[10.0.0.0/8 10.1.2.3/8 169.254.1.2 ::1 fd00::/8 fd00::1/8 ::ffff:10.0.0.0/104 0.0.0.0/0 ::/0
       localhost a-b.c_d.e Files.Internal. xn--nxasmq6b 1.example].each do |value|
      it "takes #{value}, and the engine too" do
        expect(fetch(linted(allow_destinations: [value, :any]) { upstream.url }).status).to eq(200)
      end
    end

    [nil, :all, 5, true, [], {}, [nil], [[:default]], "", "*", "10.0.0.0/33", "fd00::/129",
     "10.0.0.0/255.0.0.0", "10.0.0", "10.0.0.256", "010.0.0.1", "0x7f000001", "2130706433", "a.1",
     "[::1]", "fe80::1%eth0", "127.0.0.1:80", "http://files.internal/", "files.internal/8", "a..b",
     "file\xFFs", " localhost", "localhost\n", ":any", [:default, "10.0.0.300"]].each do |value|
      it "does not take #{value.inspect}" do
        wrong = value.is_a?(Array) && !value.empty? ? value.last : value
        expect { bare(allow_destinations: value) { nil } }
          .to raise_error(Rack::StreamingProxy::ConfigurationError) { |error|
            shown = Rack::StreamingProxy::Configuration.redact(wrong)
            expect(error.message)
              .to include("allow_destinations", "#{shown} will not do", ":public")
          }
      end
    end
  end
end
