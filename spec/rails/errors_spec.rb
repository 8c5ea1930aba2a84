# frozen_string_literal: true

RSpec.describe "The proxy's errors in a Rails application" do
  include RailsRequests

  raising = "config.streaming_proxy.raise_on_error = true"
  refused = 'ENV["GONE"] if request.path == "/search"'

  def start(configuration, block, **options)
    env = { "GONE" => "http://127.0.0.1:#{closed_port}/" }
    start_rails(initializer(configuration, block:), env:, **options)
  end

  it "are answered by the proxy itself in plain text, unless it is to raise" do
    answer = get(start("", refused), "/search")
    expect([answer.status, answer.body]).to eq([502, "502 Bad Gateway"])
  end

  it "are Rails' to answer with raise_on_error: its page, with the error's own status" do
    server = start(raising, refused)
    answer = get(server, "/search", "Accept" => "text/html")
    expect([answer.status, answer.body]).to eq([502, "<h1>Our upstream is away</h1>\n"])
    expect(server.output.wait_for(/Rack::StreamingProxy::ConnectError .*refused/)).to be_truthy
  end

  it "have each its own status" do
    server = start(raising, <<~RUBY)
      name = request.path[/\\w+\\z/]
      raise Rack::StreamingProxy.const_get(name), "raised here" if request.path.start_with?("/raise")
    RUBY
    statuses = { ConnectError: 502, TlsError: 502, ProtocolError: 502, DestinationRefused: 502,
                 Overloaded: 503, TimeoutError: 504, RequestError: 400, RequestBodyError: 400,
                 RequestBodyTooLarge: 413, LoopDetected: 508, UpstreamError: 502,
                 ConfigurationError: 500, HttpServerError: 500, UnknownError: 500 }
    answered = statuses.to_h { |name, _| [name, get(server, "/raise/#{name}").status] }
    expect(answered).to eq(statuses)
  end

  it "tell that an upload is larger than max_request_body" do
    server = start("#{raising}; config.streaming_proxy.max_request_body = 5", refused)
    expect(post(server, "/search", "a=bcd").status).to eq(502)
    expect(post(server, "/search", "a=bcde").status).to eq(413)
  end

  it "have the status that the application has given them, wherever it says so" do
    mapping = '"Rack::StreamingProxy::ConnectError" => :service_unavailable'
    direct = "ActionDispatch::ExceptionWrapper.rescue_responses.merge!(#{mapping})"
    setting = <<~RUBY
      require "rack-streaming-proxy"
      ActiveSupport.on_load(:before_configuration) do
        config.action_dispatch.rescue_responses = { #{mapping} }
      end
    RUBY
    ways = { "config/initializers/a_mapping.rb" => direct, "config/require_gems.rb" => setting }
    ways.each do |file, text|
      server = start(raising, refused, files: { file => text })
      expect(get(server, "/search").status).to eq(503)
    end
  end

  it "show in development what went wrong" do
    server = start(raising, refused, environment: "development")
    answer = get(server, "/search")
    expect(answer.status).to eq(502)
    expect(answer.body).to include("Rack::StreamingProxy::ConnectError", "refused the connection")
  end

  it "do not hide the block's own exceptions, which get Rails' page" do
    server = start("", 'raise KeyError, "which upstream?" if request.path == "/search"')
    answer = get(server, "/search", "Accept" => "text/html")
    expect([answer.status, answer.body]).to eq([500, "<h1>Our own mistake</h1>\n"])
    expect(server.output.wait_for(/KeyError .*which upstream\?/)).to be_truthy
    expect(get(server, "/other").body).to eq("from Rails")
  end

  it "end the client's connection in mid-body, and write no page into it" do
    upstream = start_upstream do |connection|
      connection.read_head
      connection.begin_chunked
      connection.chunk("some of it")
    end
    server = start_rails(initializer(raising), upstream:)
    answer = get(server, "/search")
    expect([answer.status, answer.body, answer.complete?]).to eq([200, "some of it", false])
  end
end
