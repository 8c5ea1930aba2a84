# frozen_string_literal: true

RSpec.describe "The proxy's log lines in a Rails application" do
  include RailsRequests

  let(:upstream) { serving { |request| [200, {}, "id #{request["x-request-id"]}"] } }

  def ours(server, count)
    server.output.wait_for(/(\[Rack::StreamingProxy\].*){#{count}}/m)
    server.output.lines.grep(/\[Rack::StreamingProxy\]/)
  end

  def finishing(server)
    server.output.wait_for(/Finishing proxy request/)
    server.output.lines.grep(/Finishing/)
  end

  it "go to Rails.logger with its tags, one line for the start and one for the end" do
    server = start_rails(initializer, upstream:)
    get(server, "/search?secret=1", "X-Request-Id" => "id-1")
    about = "proxy request to: GET #{upstream.url("/search")}"
    lines = ours(server, 2).map { |line| line.sub(/\d+ ms/, "0 ms") }
    expect(lines).to eq(["[id-1] [Rack::StreamingProxy] Starting #{about}",
                         "[id-1] [Rack::StreamingProxy] Finishing #{about} " \
                         "(status 200, 7 bytes, 0 ms, 1 attempt)"])
    expect(server.output.to_s.scan("Finishing").size).to eq(1)
  end

  it "keep their tags where the body ends long after the head, and give them to no other request" do
    gate = EventQueue.new
    upstream = start_upstream do |connection|
      connection.read_head
      connection.begin_chunked
      connection.chunk("first")
      gate.pop
      connection.end_chunked
    end
    server = start_rails(initializer, upstream:)
    client = connect(server)
    client.get("/search", { "X-Request-Id" => "long-1" })
    client.read_head
    expect(client.read_chunk).to eq("first")
    get(server, "/other", "X-Request-Id" => "other-1")
    gate << true
    expect(client.read_chunk).to be_nil
    expect(finishing(server)).to match([/\A\[long-1\] \[Rack/])
    client.get("/other", { "X-Request-Id" => "next-1" })
    client.read_response
    tags = server.output.lines.grep(/Started GET "/).map { |line| line[/\A(\[\S+\] )+/] }
    expect(tags).to eq(["[long-1] ", "[other-1] ", "[next-1] "])
  end

  it "are retries' and failures' too, one each" do
    count = 0
    upstream = serving { (count += 1).odd? ? [503, {}, ""] : [200, {}, ""] }
    server = start_rails(initializer(<<~RUBY), upstream:)
      config.streaming_proxy.num_retries_on_5xx = 1
      config.streaming_proxy.retry_delay = 0
    RUBY
    get(server, "/search")
    expect(ours(server, 3)[1]).to match(/Got 503, retrying \(Retry #1\)/)
    expect(ours(server, 3).size).to eq(3)
  end

  it "go without tags where the proxy stands in front of what knows them" do
    server = start_rails(initializer(insert: "insert_before ActionDispatch::Executor, "), upstream:)
    get(server, "/search", "X-Request-Id" => "id-1")
    expect(ours(server, 2)).to all(start_with("[Rack::StreamingProxy]"))
  end

  it "go to the logger that is set instead, and there alone" do
    server = start_rails(initializer(<<~RUBY), upstream:)
      config.streaming_proxy.logger = Logger.new($stdout, formatter: proc { |*, text| "mine \#{text}\\n" })
    RUBY
    get(server, "/search")
    expect(ours(server, 2)).to all(start_with("mine [Rack::StreamingProxy]"))
    expect(ours(server, 2).size).to eq(2)
  end

  it "can be taken over by a subscriber of the application's own" do
    lines = { "config/initializers/z_lines.rb" => <<~RUBY }
      class YourLines < Rack::StreamingProxy::LogSubscriber
        def request(event)
          info "mine \#{event.payload[:status]} \#{event.payload[:bytes_down]}"
        end
      end
      Rails.application.config.after_initialize do
        Rack::StreamingProxy::LogSubscriber.detach_from :streaming_proxy
        YourLines.attach_to :streaming_proxy
      end
    RUBY
    server = start_rails(initializer, upstream:, files: lines)
    get(server, "/search", "X-Request-Id" => "id-1")
    expect(server.output.wait_for(/^.*mine 200 7$/)[0]).to eq("[id-1] mine 200 7")
    expect(server.output.lines.grep(/StreamingProxy/).size).to eq(1)
  end

  it "name the request id that goes up: Rails' own, made of the client's" do
    server = start_rails(initializer, upstream:)
    expect(get(server, "/search", "X-Request-Id" => "id 1!").body).to eq("id id1")
    made = get(server, "/search")
    expect(made.body).to match(/\Aid \h{8}-[\h-]{27}\z/)
    expect(made.head["x-request-id"]).to eq(made.body.delete_prefix("id "))
    server = start_rails(initializer(insert: "insert_before ActionDispatch::Executor, "), upstream:)
    expect(get(server, "/search", "X-Request-Id" => "id 1!").body).to eq("id id 1!")
    expect(get(server, "/search").body).to eq("id ")
  end
end
