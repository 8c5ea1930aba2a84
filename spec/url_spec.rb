# frozen_string_literal: true

require "base64"

RSpec.describe Rack::StreamingProxy::Proxy, "and the URL" do
  let(:upstream) { serving { |request| [200, {}, request.head.target] } }
  let(:head) { upstream.wait_for_request }

  def target_of(url)
    fetch(linted { url }).body
  end

  it "may have no path" do
    expect(target_of("http://127.0.0.1:#{upstream.port}")).to eq("/")
  end

  it "may have a query and no path" do
    expect(target_of("http://127.0.0.1:#{upstream.port}?a=1")).to eq("/?a=1")
  end

  it "may have a scheme in capitals" do
    expect(target_of("HTTP://127.0.0.1:#{upstream.port}/x")).to eq("/x")
  end

  it "may name the host" do
    expect(target_of("http://localhost:#{upstream.port}/x")).to eq("/x")
    expect(head["host"]).to eq("localhost:#{upstream.port}")
  end

  it "may have an IPv6 literal" do
    six = serving(host: "::1") { |request| [200, {}, request["host"]] }
    expect(target_of("http://[::1]:#{six.port}/x")).to eq("[::1]:#{six.port}")
  end

  it "loses its fragment", id: "RQ12" do
    expect(target_of(upstream.url("/x?y#fragment"))).to eq("/x?y")
  end

  %w[/a%2Fb /%2e%2e/x //double///slash /semi;colon=1,2 /a/../b /./x /%7euser /%E2%82%AC /caf%c3%A9
     /$&'()*+,=:@!~-._ /? /?q /x?a=1&a=2;b=%zz /x?{json}&[0]=|^ /x?a=%2f%2F
     /x?u=http://other/].each do |target|
    it "reaches the upstream with #{target} unchanged", id: %w[RQ8 RQ11] do
      expect(target_of(upstream.url(target))).to eq(target)
    end
  end

  { "/a<b>c" => "/a%3Cb%3Ec", "/x?q=<a>" => "/x?q=%3Ca%3E", "/`x`" => "/%60x%60",
    "/\xFF\xFE".b => "/%FF%FE" }.each do |given, sent|
    it "percent-encodes what may not stand in a URL: #{given.inspect}", id: "RQ12" do
      expect(target_of(upstream.url("").b + given.b)).to eq(sent)
    end
  end

  it "has a quotation mark percent-encoded in the query alone", id: "RQ12" do
    expect(target_of(upstream.url('/"x"'))).to eq('/"x"')
    expect(target_of(upstream.url('/x?q="a"'))).to eq("/x?q=%22a%22")
  end

  it "may hold every byte that is no blank and no control, in path and query", id: "RQ12" do
    bytes = [*0x21..0x7E, *0x80..0xFF].map { |byte| byte.chr.b }
    { "/a" => ["<>`", "?#"], "/x?q=" => ["<>`\"", "#"] }
      .each do |before, (encoded, delimiters)|
      (bytes - delimiters.chars).each do |byte|
        raw = byte.ascii_only? && !encoded.include?(byte)
        expect(target_of(upstream.url("").b + before + byte))
          .to eq(before + (raw ? byte : format("%%%02X", byte.ord)))
      end
    end
  end

  it "may hold UTF-8, raw or percent-encoded on the way" do
    expect(target_of(upstream.url("/grün")).b).to eq("/grün".b).or(eq("/gr%C3%BCn"))
  end

  describe "with credentials" do
    let(:basic) { "Basic #{Base64.strict_encode64("user:p@ss word")}" }
    let(:url) { upstream.url("/x", credentials: "user:p%40ss%20word") }

    it "sends them as Basic authorization and not in the target" do
      expect(target_of(url)).to eq("/x")
      expect(head["authorization"]).to eq(basic)
      expect(head.raw).not_to include("p%40ss")
      expect(head["host"]).to eq("127.0.0.1:#{upstream.port}")
    end

    it "prefers them to the client's" do
      fetch(linted { url }, "/", "HTTP_AUTHORIZATION" => "Bearer client")
      expect(head.all("authorization")).to eq([basic])
    end

    it "sends a user without a password" do
      fetch(linted { upstream.url("/", credentials: "token") })
      expect(head["authorization"]).to eq("Basic #{Base64.strict_encode64("token:")}")
    end

    it "sends none for a user without a name, and leaves the client's alone" do
      app = linted { upstream.url("/", credentials: "") }
      fetch(app)
      fetch(app, "/", "HTTP_AUTHORIZATION" => "Bearer client")
      expect(Array.new(2) { upstream.wait_for_request["authorization"] })
        .to eq([nil, "Bearer client"])
    end

    it "never logs them" do
      logger = InProcessCalls::RecordingLogger.new
      fetch(linted(logger:, log_verbosity: :high) { url })
      closed = "http://user:p%40ss%20word@127.0.0.1:#{closed_port}/"
      expect(fetch(linted(logger:) { closed }).status).to eq(502)
      text = logger.lines.join("\n")
      expect(text).to include("127.0.0.1")
      expect(text).not_to match(/p%40ss|p@ss|#{Base64.strict_encode64("user:p@ss word")[0, 12]}/)
    end

    it "does not name them in the answer or the exception" do
      closed = "http://user:secret@127.0.0.1:#{closed_port}/"
      expect(fetch(linted { closed }).body).not_to include("secret")
      expect { fetch(bare(raise_on_error: true) { closed }) }
        .to raise_error(Rack::StreamingProxy::ConnectError) { |error|
          expect("#{error.message} #{error.upstream}").not_to include("secret")
        }
    end
  end
end
