# frozen_string_literal: true

# In processes of their own, for WebMock changes Net::HTTP for good.
RSpec.describe "Rack::StreamingProxy::Testing and WebMock" do
  # Runs the text with WebMock; `ask` proxies to a URL and gives status and body, or the error.
  def with_webmock(text, **env)
    result = RubyScript.run(<<~RUBY, env: env.transform_keys(&:to_s))
      require "webmock"
      require "rack/mock"
      include WebMock::API
      def ask(url, method: "GET", input: nil, **settings)
        app = Rack::StreamingProxy::Proxy.new(proc {}, logger: Logger.new(nil), **settings) { url }
        status, _, body = app.call(Rack::MockRequest.env_for("/", method:, input:))
        text = +""
        body.each { |chunk| text << chunk }
        [status, text]
      rescue Exception => e
        e.class
      ensure
        body.close if body.respond_to?(:close)
      end
      #{text}
    RUBY
    expect(result.status).to be_success, result.output
    result.output.lines(chomp: true)
  end

  let(:upstream) { serving { [200, {}, "real"] } }

  it "refuses what WebMock refuses, and lets through what it lets through" do
    output = with_webmock(<<~RUBY, UPSTREAM: upstream.url)
      up = ENV.fetch("UPSTREAM")
      p ask(up)
      WebMock.enable!
      p ask(up)
      WebMock.disable_net_connect!(allow_localhost: true)
      p ask(up)
      p ask("http://files.internal/")
      WebMock.allow_net_connect!
      p ask(up)
      WebMock.disable_net_connect!
      p ask(up)
      WebMock.disable!
      p ask(up)
    RUBY
    real = '[200, "real"]'
    refused = "WebMock::NetConnectNotAllowedError"
    expect(output).to eq([real, refused, real, refused, real, refused, real])
    expect(upstream.requests.size).to eq(4)
  end

  it "answers with WebMock's stubs, also where a real connection is allowed" do
    output = with_webmock(<<~RUBY, UPSTREAM: upstream.url)
      WebMock.enable!
      stub_request(:post, "http://files.internal/a?b=c")
        .with(body: "hello", headers: { "Via" => "1.1 rack-streaming-proxy" })
        .to_return(status: 201, body: "stub", headers: { "X-A" => %w[1 2] })
      p ask("http://files.internal/a?b=c", method: "POST", input: "hello")
      p ask("http://files.internal/a?b=c", method: "POST", input: "other")
      WebMock.allow_net_connect!
      stub_request(:get, ENV.fetch("UPSTREAM")).to_return { |request| { body: request.method.to_s } }
      p ask(ENV.fetch("UPSTREAM"))
      puts Rack::StreamingProxy::Testing.requests.size
      pattern = WebMock::RequestPattern.new(:any, /./)
      puts WebMock::RequestRegistry.instance.times_executed(pattern)
    RUBY
    expect(output).to eq(['[201, "stub"]', "WebMock::NetConnectNotAllowedError", '[200, "get"]',
                          "3", "3"])
    expect(upstream.requests).to be_empty
  end

  it "fails as WebMock's stubs do" do
    output = with_webmock(<<~RUBY)
      WebMock.enable!
      stub_request(:get, "http://files.internal/late").to_timeout
      p ask("http://files.internal/late")
      stub_request(:get, "http://files.internal/down").to_raise(Rack::StreamingProxy::ConnectError)
      p ask("http://files.internal/down")
      p ask("http://files.internal/down", raise_on_error: true)
      stub_request(:get, "http://files.internal/other").to_raise(KeyError)
      p ask("http://files.internal/other")
    RUBY
    expect(output).to eq(['[504, "504 Gateway Timeout"]', '[502, "502 Bad Gateway"]',
                          "Rack::StreamingProxy::ConnectError", "KeyError"])
  end

  it "asks the stubs of Testing first, and what both refuse both must allow" do
    output = with_webmock(<<~RUBY, UPSTREAM: upstream.url)
      require "rack/streaming_proxy/testing"
      testing = Rack::StreamingProxy::Testing
      WebMock.enable!
      stub_request(:get, "http://files.internal/").to_return(body: "WebMock")
      testing.stub("http://files.internal/") { [200, {}, ["Testing"]] }
      p ask("http://files.internal/")
      testing.reset
      p ask("http://files.internal/")
      testing.disable_net_connect!(allow: "localhost")
      p ask(ENV.fetch("UPSTREAM"))
      WebMock.allow_net_connect!
      p ask(ENV.fetch("UPSTREAM"))
      testing.disable_net_connect!
      p ask(ENV.fetch("UPSTREAM"))
    RUBY
    expect(output).to eq(['[200, "Testing"]', '[200, "WebMock"]',
                          "WebMock::NetConnectNotAllowedError", '[200, "real"]',
                          "Rack::StreamingProxy::Testing::NetConnectNotAllowedError"])
  end
end
