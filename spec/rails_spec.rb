# frozen_string_literal: true

# Debian's Rails, on Puma. The text of the initializer is that of the README of 2.0.2.
RSpec.describe "A Rails application" do
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

  def start_rails(initializer, upstream: nil, **options)
    application = keep(RailsApplication.new(initializer, **options))
    start_puma(application.rackup,
               env: { "UPSTREAM" => upstream&.url(""), "RAILS_ENV" => "production" })
  end

  def get(server, path)
    client = connect(server)
    client.get(path)
    client.read_response(within: 10)
  end

  # An initializer that proxies /search, with these lines of configuration and this insertion.
  def initializer(configuration = "", insert: "use ")
    <<~RUBY
      require "rack/streaming_proxy"

      YourRailsApp::Application.configure do
        #{configuration}
        config.middleware.#{insert}Rack::StreamingProxy::Proxy do |request|
          ENV.fetch("UPSTREAM") + request.fullpath if request.path.start_with?("/search")
        end
      end
    RUBY
  end

  context "with the initializer of the 2.x README, word for word" do
    { "that requires the gem itself" => "",
      "after Bundler has required it" => 'require "rack-streaming-proxy"' }.each do |how, early|
      it "boots, with the settings given and the middleware last, #{how}" do
        server = start_rails(readme, early:)
        expect(get(server, "/other").body).to eq("from Rails")
        expect(get(server, "/settings").body)
          .to eq("{:log_verbosity=>:high, :num_retries_on_5xx=>5, :raise_on_5xx=>true}")
        expect(get(server, "/middleware").body.lines.last).to eq("Rack::StreamingProxy::Proxy")
      end
    end
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

  it "logs to Rails.logger when nothing else is said" do
    upstream = serving { [200, {}, "found"] }
    server = start_rails(initializer, upstream:)
    get(server, "/search")
    expect(server.output.wait_for(/\[Rack::StreamingProxy\] .*200/, within: 2)).to be_truthy
  end

  it "lets an explicit false in Rails count" do
    upstream = serving { [503, {}, "down"] }
    server = start_rails(initializer(<<~RUBY), upstream:)
      Rack::StreamingProxy::Proxy
      config.streaming_proxy.raise_on_5xx = false
      config.streaming_proxy.num_retries_on_5xx = 0
    RUBY
    expect(get(server, "/search").status).to eq(503)
  end

  it "prefers an accessor of Proxy to config.streaming_proxy" do
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

  it "keeps the form of a POST, its cookies and a method override" do
    upstream = serving { |request| [200, {}, "#{request.head.request_method} #{request.body}"] }
    server = start_rails(initializer("", insert: "insert_before Rack::Head, "), upstream:)
    client = connect(server)
    client.request("POST", "/search", { "Content-Type" => "application/x-www-form-urlencoded" },
                   "a=1&b=2")
    expect(client.read_response.body).to eq("POST a=1&b=2")
    client.request("POST", "/search", { "Content-Type" => "application/x-www-form-urlencoded" },
                   "_method=put&b=2")
    expect(client.read_response.body).to eq("PUT _method=put&b=2")
  end

  describe "and placement" do
    # Ticks when told to; a buffered response is seen only when all has been told.
    def ticking_upstream
      @tick = EventQueue.new
      start_upstream do |connection|
        connection.read_head
        connection.begin_chunked(200, "Content-Type" => "text/plain")
        3.times do |number|
          connection.chunk("tick #{number}")
          @tick.pop
        end
        connection.end_chunked
      end
    end

    def expect_live(server, path)
      client = connect(server)
      client.get(path)
      client.read_head
      3.times do |number|
        expect(client.read_chunk(within: 2)).to eq("tick #{number}")
        @tick << true
      end
      expect(client.read_chunk).to be_nil
      expect(server.output.to_s).not_to match(/ETag|ContentLength/)
    end

    ["Rack::Head", "ActionDispatch::Executor"].each do |place|
      it "streams live with insert_before #{place}" do
        server = start_rails(initializer("", insert: "insert_before #{place}, "),
                             upstream: ticking_upstream)
        expect_live(server, "/search")
      end
    end

    if Rack.release >= "3"
      it "streams live behind Rack 3's Rack::ETag and Rack::ContentLength" do
        expect_live(start_rails(initializer, upstream: ticking_upstream), "/search")
        upstream = ticking_upstream
        server = start_puma(RackupText.proxy(above: "use Rack::ContentLength"),
                            env: { "UPSTREAM" => upstream.url("") })
        expect_live(server, "/")
      end

      next
    end

    it "is warned of once when Rack::ETag buffers, with the place to insert the middleware" do
      server = start_rails(initializer, upstream: ticking_upstream)
      2.times do
        3.times { @tick << true }
        expect(get(server, "/search").body).to eq("tick 0tick 1tick 2")
      end
      warnings = server.output.lines.grep(/Rack::StreamingProxy.*ETag/)
      expect(warnings.size).to eq(1)
      expect(warnings.first).to match(/insert_before.*Rack::Head|insert_before.*Executor/)
    end

    it "is warned of in a config.ru with Rack::ContentLength too" do
      upstream = ticking_upstream
      server = start_puma(RackupText.proxy(above: "use Rack::ContentLength"),
                          env: { "UPSTREAM" => upstream.url("") })
      2.times do
        3.times { @tick << true }
        get(server, "/")
      end
      expect(server.output.lines.grep(/Rack::StreamingProxy.*ContentLength/).size).to eq(1)
    end
  end
end
