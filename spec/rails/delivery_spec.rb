# frozen_string_literal: true

RSpec.describe "delivery: :hijack in a Rails application" do
  include RailsRequests

  hijack = "config.streaming_proxy.delivery = :hijack"
  decide = <<~RUBY
    next unless request.path.start_with?("/files")

    request.session[:downloads] = request.session[:downloads].to_i + 1
    ENV.fetch("UPSTREAM") + request.path
  RUBY

  # An upstream that goes on with a stream when `@go` says so.
  def streaming_upstream
    @go = EventQueue.new("sign to go on")
    start_upstream do |connection|
      connection.read_head
      connection.begin_chunked(200, "Set-Cookie" => "theirs=1")
      connection.chunk("first")
      @go.pop(within: 30)
      connection.chunk("last")
      connection.end_chunked
    end
  end

  def begin_stream(server)
    client = connect(server)
    client.get("/files/a", { "X-Request-Id" => "id-1", "X-Forwarded-Proto" => "https" })
    client.read_head(within: 20)
    expect(client.read_chunk).to eq("first")
    client
  end

  it "sends what Rails adds, and tells of the end in the log with Rails' tags" do
    upstream = streaming_upstream
    secure = "#{hijack}\nconfig.force_ssl = true"
    server = start_rails(initializer(secure, block: decide), upstream:)
    client = begin_stream(server)
    expect(client.head["strict-transport-security"]).to match(/max-age/)
    expect(client.head.all("set-cookie"))
      .to contain_exactly(/\Atheirs=1; secure/i, /\A_your_rails_app_session=.*httponly/i)
    expect(client.head["x-request-id"]).to eq("id-1")
    expect(client.head["connection"]).to eq("close")
    expect(server.output.to_s).not_to include("Finishing")
    @go << true
    expect([client.read_chunk, client.read_chunk]).to eq(["last", nil])
    told = server.output.wait_for(/^.*Finishing proxy request.*$/)
    expect(told[0]).to match(/\A\[id-1\] .* GET .*\(status 200, 9 bytes, \d+ ms, 1 attempt\)/)
  end

  it "holds no share of Rails' executor: code is reloaded while a response streams" do
    upstream = streaming_upstream
    server = start_rails(initializer(hijack, block: decide), upstream:, environment: "development")
    expect(get(server, "/greeting").body).to eq("hello")
    client = begin_stream(server)
    file = @application.path("app/models/greeting.rb")
    File.write(file, File.read(file).sub(/TEXT = ".*"/, 'TEXT = "changed"'))
    expect(get(server, "/greeting").body).to eq("changed")
    @go << true
    expect([client.read_chunk, client.read_chunk]).to eq(["last", nil])
  end
end
