# frozen_string_literal: true

# What the client says that its request is for: the target in its forms, Host, and how far it goes.
RSpec.describe Rack::StreamingProxy::Proxy, "and what a request is for" do
  let(:upstream) { serving { [200, {}, "ok"] } }
  let(:head) { upstream.wait_for_request }

  # The Host that goes up is the client's; the block sees the host as X-Seen.
  rackup = <<~RUBY
    require "logger"
    require "rack/streaming_proxy"
    use Rack::StreamingProxy::Proxy, logger: Logger.new(nil), preserve_host: true do |request|
      port = request.get_header("HTTP_X_PORT")
      Rack::StreamingProxy::Target.new("http://127.0.0.1:\#{port}\#{request.fullpath}",
                                       headers: { "X-Seen" => request.host_with_port })
    end
    run proc { [404, {}, []] }
  RUBY

  once { @servers = %i[puma unicorn].to_h { |kind| [kind, start_server(kind, rackup)] } }

  # @return [Integer] the status of the answer to this raw head
  def ask(kind, request_line, *lines, version: "1.1")
    client = connect(@servers.fetch(kind))
    lines += ["X-Port: #{upstream.port}", "Connection: close"]
    client.write("#{request_line} HTTP/#{version}\r\n" \
                 "#{lines.map { |line| "#{line}\r\n" }.join}\r\n")
    client.read_head.status
  end

  %i[puma unicorn].each do |kind|
    context "with #{kind}" do
      it "takes the host of an absolute target for Host", id: "FW2" do
        expect(ask(kind, "GET http://other.test:81/abs?x=1", "Host: front.test")).to eq(200)
        expect(head.target).to eq("/abs?x=1")
        expect([head["host"], head["x-forwarded-host"], head["x-seen"]].uniq)
          .to eq(["other.test:81"])
      end

      ["a b", "a/b", "user@front.test", "a,b", "front.test:x", "[::1", "a\tb", ":80",
       "fr\xC3\xB6nt", "front.test#"].each do |host|
        it "answers the Host #{host.inspect} with 400", id: "FW2" do
          expect(ask(kind, "GET /", "Host: #{host}")).to eq(400)
          expect(upstream.connections).to be_empty
        end
      end

      ["front.test", "front.test:8080", "[::1]:80", "127.0.0.1", "a_b.test", "xn--frnt-5qa.test",
       "FRONT.test"].each do |host|
        it "passes the Host #{host} on", id: "FW1" do
          expect(ask(kind, "GET /", "Host: #{host}")).to eq(200)
          expect(head["host"]).to eq(host)
        end
      end

      ["/a?", "/?", "/a??", "/a?b=c"].each do |target|
        it "passes the target #{target} unchanged", id: %w[RQ8 RQ11] do
          expect(ask(kind, "GET #{target}", "Host: front.test")).to eq(200)
          expect(head.target).to eq(target)
        end
      end

      it "answers a request without Host with 400", id: "FW2" do
        expect(ask(kind, "GET /")).to eq(400)
        expect(upstream.connections).to be_empty
      end

      it "passes an HTTP/1.0 request without Host on", id: "FW2" do
        expect(ask(kind, "GET /", version: "1.0")).to eq(200)
      end

      it "asks the upstream itself for OPTIONS *", id: "RQ14" do
        expect(ask(kind, "OPTIONS *", "Host: front.test")).to eq(200)
        expect(head.first_line).to eq("OPTIONS * HTTP/1.1")
      end

      it "answers GET * with 400", id: "RQ14" do
        expect(ask(kind, "GET *", "Host: front.test")).to eq(400)
        expect(upstream.connections).to be_empty
      end
    end
  end

  # Unicorn keeps one of several, and drops the user name of a target.
  it "answers several Hosts with 400, on Puma", id: "FW2" do
    expect(ask(:puma, "GET /", "Host: front.test", "Host: other.test")).to eq(400)
    expect(upstream.connections).to be_empty
  end

  it "answers a user name in the target with 400, on Puma", id: "FW2" do
    expect(ask(:puma, "GET http://front.test@other.test/", "Host: front.test")).to eq(400)
    expect(ask(:puma, "GET http:///abs", "Host: front.test")).to eq(400).or eq(500)
    expect(upstream.connections).to be_empty
  end

  # Of ftp: targets Puma gives the path without its slash: it would go on where the host ends.
  it "lets no target without a slash name the host that is asked, on Puma", id: %w[RQ12 SS1] do
    other = serving { [200, {}, "not meant"] }
    ["@#{other.authority}/", ":80@#{other.authority}/", ".other.test/", "0/"].each do |path|
      expect(ask(:puma, "GET ftp://front.test/#{path}", "Host: front.test")).to eq(400)
    end
    expect([upstream, other].flat_map(&:connections)).to be_empty
  end

  it "answers a path without a slash with 400, whatever the block makes of it", id: "RQ12" do
    app = bare { |request| "http://127.0.0.1:9#{request.path_info}" }
    expect(fetch(app, "/", "PATH_INFO" => "@#{upstream.authority}/").status).to eq(400)
    expect(upstream.connections).to be_empty
  end

  it "refuses a malformed Host also where an absolute target overrides it", id: "FW2" do
    expect(ask(:puma, "GET http://other.test/", "Host: a b")).to eq(400)
    expect(upstream.connections).to be_empty
  end

  it "asks the upstream itself when OPTIONS has a URL without path and query", id: "RQ14" do
    app = bare { "http://#{upstream.authority}" }
    fetch(app, "/", "REQUEST_METHOD" => "OPTIONS")
    expect(head.target).to eq("*")
    fetch(app)
    expect(upstream.wait_for_request.target).to eq("/")
  end

  it "takes what WEBrick makes of every target for no absolute one", id: "FW2" do
    env = { "SERVER_SOFTWARE" => "WEBrick/1.8.1", "REQUEST_URI" => "http://believed.test/",
            "HTTP_HOST" => "front.test" }
    fetch(bare(preserve_host: true) { upstream.url }, "/", env)
    expect(head["host"]).to eq("front.test")
  end

  describe "CONNECT" do
    # From version 6 on Puma refuses it itself, and before 8 takes what follows for a request.
    six, eight = %w[6 8].map { |version| ServerProcess.of(:puma).at_least?(version) }
    by_puma = [six ? 501 : 405, six && !eight ? ["GET"] : []]

    { puma: by_puma, unicorn: [405, []] }.each do |kind, (status, followers)|
      it "is answered with #{status}, and with the end of the connection, on #{kind}", id: "RQ14" do
        client = connect(@servers.fetch(kind))
        fields = "Host: front.test\r\nX-Port: #{upstream.port}\r\n"
        client.write("CONNECT / HTTP/1.1\r\n#{fields}\r\n" \
                     "GET / HTTP/1.1\r\n#{fields}Connection: close\r\n\r\n")
        bytes, = client.read_to_end
        expect(bytes).to start_with("HTTP/1.1 #{status} ")
        expect(upstream.requests.map(&:request_method)).to eq(followers)
        expect(bytes.scan("HTTP/1.1 ").size).to eq(1 + followers.size)
      end
    end

    it "is told which methods are allowed", id: "RQ14" do
      env = env_for("/", method: "CONNECT")
      _, headers, = bare(allow_trace: false) { upstream.url }.call(env)
      expect(header_lines(headers)["allow"])
        .to eq(["GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"])
    end
  end

  describe "TRACE" do
    it "is passed on", id: "RQ14" do
      expect(fetch(bare { upstream.url }, "/", method: "TRACE").status).to eq(200)
      expect(head.request_method).to eq("TRACE")
    end

    it "is answered with 405 where it is not allowed, whatever its Max-Forwards", id: "RQ14" do
      [{}, { "HTTP_MAX_FORWARDS" => "0" }, { "HTTP_MAX_FORWARDS" => "7" }].each do |env|
        answer = fetch(bare(allow_trace: false) { upstream.url }, "/", env.merge(method: "TRACE"))
        expect([answer.status, answer["Allow"]])
          .to eq([405, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"])
      end
      expect(upstream.connections).to be_empty
    end
  end

  describe "Max-Forwards" do
    def answer_to(verb, hops, **env)
      fetch(bare { upstream.url }, "/a?b=1",
            { :method => verb, "HTTP_MAX_FORWARDS" => hops }.merge(env))
    end

    %w[TRACE OPTIONS].each do |verb|
      { "1" => "0", "10" => "9", "007" => "6" }.each do |given, sent|
        it "of #{verb} is counted down from #{given}", id: "FW7" do
          answer_to(verb, given)
          expect(head.all("max-forwards")).to eq([sent])
        end
      end

      ["-1", "x", "1, 2", "1.5", "", "\xFF", "9" * 40].each do |given|
        it "#{given.inspect} of #{verb} is a 400", id: "FW7" do
          expect(answer_to(verb, given).status).to eq(400)
          expect(upstream.connections).to be_empty
        end
      end
    end

    it "0 has OPTIONS answered here", id: "FW7" do
      answer = answer_to("OPTIONS", "0")
      expect([answer.status, answer.body, answer["Content-Length"]]).to eq([200, "", "0"])
      expect(answer["Allow"]).to eq("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE")
      expect(upstream.connections).to be_empty
    end

    it "0 has TRACE answered with the request, without what may be a secret", id: "FW7" do
      answer = answer_to("TRACE", "0", "REQUEST_URI" => "/a?b=1", "HTTP_HOST" => "front.test",
                                       "HTTP_VIA" => "1.0 other", "HTTP_COOKIE" => "c=secret",
                                       "HTTP_AUTHORIZATION" => "Basic secret",
                                       "HTTP_X_API_KEY" => "secret")
      expect(answer["Content-Type"]).to eq("message/http")
      expect(answer.body).to eq("TRACE /a?b=1 HTTP/1.1\r\nHost: front.test\r\nVia: 1.0 other\r\n" \
                                "Max-Forwards: 0\r\n\r\n")
      expect(answer["Content-Length"]).to eq(answer.body.bytesize.to_s)
      expect(upstream.connections).to be_empty
    end

    it "of other methods passes unchanged", id: "FW7" do
      answer_to("GET", "0")
      expect(head["max-forwards"]).to eq("0")
    end
  end
end
