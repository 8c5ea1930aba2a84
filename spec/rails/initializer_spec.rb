# frozen_string_literal: true

# The text of the initializer of 2.x is that of the README of 2.0.2.
RSpec.describe "A Rails application's initializer" do
  include RailsRequests

  readme = <<~'RUBY'
    require 'rack/streaming_proxy'

    YourRailsApp::Application.configure do
      config.streaming_proxy.logger             = Rails.logger # stdout by default
      config.streaming_proxy.log_verbosity      = :high        # :low or :high, :low by default
      config.streaming_proxy.num_retries_on_5xx = 5            # 0 by default
      config.streaming_proxy.raise_on_5xx       = true         # false by default

      # Will be inserted at the end of the middleware stack by default.
      config.middleware.use Rack::StreamingProxy::Proxy do |request|

        # Inside the request block, return the full URI to redirect the request to,
        # or nil/false if the request should continue on down the middleware stack.
        if request.path.start_with?('/search')
          "http://www.some-other-service.com/search?#{request.query}"
        end
      end
    end
  RUBY

  context "with the text of the 2.x README, word for word" do
    { "that requires the gem itself" => { "config/require_gems.rb" => "" },
      "after Bundler has required it" => {} }.each do |how, files|
      it "boots, with the settings given and the middleware last, #{how}" do
        server = start_rails(readme, files:)
        expect(get(server, "/other").body).to eq("from Rails")
        expect(get(server, "/settings").body)
          .to eq("log_verbosity=:high num_retries_on_5xx=5 raise_on_5xx=true")
        expect(get(server, "/middleware").body.lines.last).to eq("Rack::StreamingProxy::Proxy")
      end
    end

    it "asks the upstream, in development too" do
      upstream = serving { |request| [200, {}, "found #{request.head.target}"] }
      text = readme.sub("http://www.some-other-service.com", upstream.url(""))
      server = start_rails(text, environment: "development")
      expect(get(server, "/search?q=1").body).to eq("found /search?q=1")
    end
  end

  it "is obeyed in full where the gem is first required in it" do
    block = %("http://127.0.0.1:#{closed_port}/" if request.path == "/search")
    text = initializer("config.streaming_proxy.raise_on_error = true", block:)
    server = start_rails(text, files: { "config/require_gems.rb" => "" })
    expect(get(server, "/search").status).to eq(502)
    lines = server.output.lines.grep(/Failed proxy request/)
    expect(lines).to match([/\A\[[\h-]+\] \[Rack::StreamingProxy\].*refused/])
  end

  it "gives the settings of config.streaming_proxy to the middleware" do
    count = 0
    upstream = serving { (count += 1) < 4 ? [503, {}, "down"] : [200, {}, "found"] }
    server = start_rails(initializer(<<~RUBY), upstream:)
      config.streaming_proxy.num_retries_on_5xx = 3
      config.streaming_proxy.retry_delay = 0.01
      config.streaming_proxy.headers = { "X-From" => "Rails" }
    RUBY
    expect(get(server, "/search?q=1").body).to eq("found")
    expect(upstream.requests.size).to eq(4)
    expect(upstream.wait_for_request["x-from"]).to eq("Rails")
  end

  it "lets an explicit false count" do
    upstream = serving { [503, {}, "down"] }
    server = start_rails(initializer(<<~RUBY), upstream:)
      Rack::StreamingProxy::Proxy
      config.streaming_proxy.raise_on_5xx = false
      config.streaming_proxy.num_retries_on_5xx = 0
    RUBY
    expect(get(server, "/search").status).to eq(503)
  end

  it "may use an accessor of Proxy, which wins over config.streaming_proxy" do
    upstream = serving { [503, {}, "down"] }
    server = start_rails(initializer(<<~RUBY), upstream:)
      config.streaming_proxy.num_retries_on_5xx = 5
      Rack::StreamingProxy::Proxy.num_retries_on_5xx = 1
      Rack::StreamingProxy::Proxy.retry_delay = 0.01
    RUBY
    get(server, "/search")
    expect(upstream.requests.size).to eq(2)
  end

  it "does not boot with a wrong setting, and says which" do
    expect { start_rails(initializer("config.streaming_proxy.read_timeout = 3")) }
      .to raise_error(/read_timeout/)
    expect { start_rails(initializer("config.streaming_proxy.num_retries_on_5xx = -1")) }
      .to raise_error(/num_retries_on_5xx/)
  end
end
