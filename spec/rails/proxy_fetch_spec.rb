# frozen_string_literal: true

RSpec.describe "proxy_fetch in a Rails application" do
  include RailsRequests
  include ServerCalls

  # By path: what the request was, or the next of `@answers`.
  def start_scripted_upstream
    @answers = Queue.new
    @ended = EventQueue.new("end of the upstream's connection")
    @upstream = start_upstream { |connection| loop { answer_at(connection) } }
  end

  def answer_at(connection)
    request = connection.read_request
    case request.head.target
    when "/held" then connection.write(@answers.pop)
    when "/silent" then connection.wait_for_end(within: 20)
    when "/left" then @ended << connection.wait_for_end(within: 20)
    when "/cut" then connection.begin_chunked && connection.chunk("hello") && connection.close
    else connection.respond(200, { "Set-Cookie" => %w[a=1 b=2] }, request.head.raw + request.body)
    end
  end

  def start(kind, **options)
    start_scripted_upstream
    @application = keep(RailsApplication.new)
    @server = start_server(kind, @application.rackup, **options, env: {
                             "UPSTREAM" => @upstream.url(""), "RAILS_ENV" => "production"
                           })
  end

  def ask(action, verb = "GET", headers = {}, body = nil, controller: "fetches")
    client = connect(@server)
    client.request(verb, "/#{controller}/#{action}", headers, body)
    client
  end

  def answer(...) = ask(...).read_response(within: 10)

  def await_log(pattern) = @server.output.wait_for(pattern, within: 10)

  # One thread in all.
  once { start(:puma, threads: 1) }

  %w[fetches api_fetches].each do |controller|
    context "in #{controller}" do
      it "leaves the only thread free while the upstream is silent" do
        clients = Array.new(3) { ask("held", controller:) }
        clients.each { @upstream.wait_for_request }
        expect(get(@server, "/elsewhere").body).to eq("from Rails")
        clients.each { @answers << "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nlater" }
        expect(clients.map { |client| client.read_response(within: 10).body }).to all(eq("later"))
      end

      it "streams by the server where that is asked for, and Rails has the status" do
        response = answer("by_the_server", controller:)
        expect([response.status, response.body]).to match([200, %r{\AGET /whole HTTP/1.1\r\n}])
        expect(response.head["x-request-id"]).not_to be_nil
        await_log(/Completed 200 OK/)
      end

      it "leaves no exchange open for a HEAD that the server answers" do
        client = ask("by_the_server", "HEAD", controller:)
        expect(client.read_head(within: 10).status).to eq(200)
        await_log(%r{Finishing proxy request to: GET \S+/whole \(status 200, \d+ bytes})
      end
    end
  end

  it "sends the headers that it was given, and where the request has come from" do
    sent = answer("whole", "GET", { "Cookie" => "secret=1", "X-Forwarded-For" => "192.0.2.1" }).body
    expect(sent).to match(/^x-a: 1\r$/i)
    expect(sent).to match(/^x-forwarded-for: 192.0.2.1, 127.0.0.1\r$/i)
    expect(sent).not_to match(/^cookie:/i)
  end

  it "keeps the lines of Set-Cookie apart" do
    expect(answer("whole").head.all("set-cookie")).to eq(%w[a=1 b=2])
  end

  it "leaves the status out of Rails' line, and tells it in its own" do
    answer("whole")
    await_log(/Completed {3}in \d+ms/)
    await_log(%r{Finishing proxy request to: GET http://127.0.0.1:\d+/whole \(status 200})
  end

  it "sends the client's body with its method" do
    sent = answer("posted", "PATCH", { "Content-Type" => "text/a", "X-B" => "2" }, "body").body
    expect(sent).to start_with("PATCH /whole HTTP/1.1\r\n").and end_with("\r\n\r\nbody")
    expect(sent).to match(%r{^content-type: text/a\r$}i)
    expect(sent).not_to match(/^x-b:/i)
  end

  it "sends a form that Rails has read already" do
    form = { "Content-Type" => "application/x-www-form-urlencoded" }
    expect(answer("posted", "POST", form, "a=1&b=2").body).to end_with("\r\n\r\na=1&b=2")
  end

  it "sends the client's headers too" do
    sent = answer("everything", "POST", { "Cookie" => "a=1" }, "body").body
    expect(sent).to start_with("POST ").and match(/^cookie: a=1\r$/i).and end_with("body")
  end

  it "sends a String or an IO, with any method" do
    expect(answer("patched").body).to start_with("PATCH ").and match(/^content-length: 4\r$/i)
      .and end_with("\r\n\r\ntext")
    expect(answer("put_io").body).to start_with("PUT ").and match(/^content-length: 4\r$/i)
      .and end_with("\r\n\r\nn IO")
  end

  it "has no body for a HEAD, whoever makes it" do
    client = ask("whole", "HEAD")
    expect([client.read_head.content_length.positive?,
            client.read_to_end]).to eq([true, ["", :fin]])
    client = ask("headless")
    expect([client.read_head["content-length"], client.read_to_end]).to eq(["0", ["", :fin]])
  end

  %w[malformed unknown_setting unknown_body unknown_method].each do |action|
    it "refuses an argument before anything has happened: #{action}" do
      client = ask(action)
      expect(client.read_response(within: 10).status).to eq(500)
      await_log(/ConfigurationError/)
      client.get("/elsewhere")
      expect(client.read_response(within: 10).body).to eq("from Rails")
    end
  end

  it "answers what goes wrong before the head by its kind" do
    expect(answer("refused").status).to eq(502)
    expect(answer("late").status).to eq(504)
  end

  it "is refused in an action that has answered, with an answer that stands" do
    expect(answer("twice").body).to start_with("GET /whole")
    await_log(/DoubleRenderError.*\n*.*proxy_fetch was called in an action/)
    expect(answer("rendered_after").body).to start_with("GET /whole")
    expect(answer("rendered").status).to eq(500)
  end

  it "is refused in an action that streams, once its response has begun" do
    response = answer("committed", controller: "live_fetches")
    expect([response.status, response.body])
      .to match([200, /\Afirstproxy_fetch was called in an action that has answered already/])
    expect(response.complete?).to be(true)
  end

  describe "callbacks" do
    it "change headers, and hear of the end" do
      expect(answer("headers_changed").head["x-added"]).to eq("by us")
      await_log(/complete 200/)
    end

    it "answer in the upstream's place" do
      response = answer("taken_over")
      expect([response.head["content-type"], response.body])
        .to eq(["application/json; charset=utf-8", '{"was":"200"}'])
      expect(answer("taken_over_by_the_server").body).to eq('{"was":"200"}')
    end

    it "that raise lead to on_error, and to a 500" do
      response = answer("raising")
      expect([response.status, response.head["content-type"], response.body])
        .to eq([500, "text/plain; charset=utf-8", "Internal Server Error"])
      await_log(/told of ArgumentError/)
      expect(answer("raising_everywhere").status).to eq(500)
      await_log(/on_error failed: KeyError/)
    end

    it "cannot smuggle a header in" do
      response = answer("injecting")
      expect([response.status, response.head["set-cookie"]]).to eq([500, nil])
    end

    it "that block hold up no others, though more than there are threads" do
      blocked = Array.new(5) { ask("blocking") }
      expect(answer("whole").status).to eq(200)
      blocked.each(&:close)
    end

    it "close the connection, and nothing is sent" do
      expect(ask("closing").read_to_end(within: 10)).to eq(["", :fin])
    end

    it "hear of a body that was cut short, and of a client that has left" do
      expect(answer("cut").complete?).to be(false)
      await_log(/told of Rack::StreamingProxy::BodyError true/)
      client = ask("left")
      @upstream.wait_for_request until @upstream.requests.any? { |head| head.target == "/left" }
      client.close
      expect(@ended.pop(within: 10)).not_to be_nil
      await_log(/told of Rack::StreamingProxy::ClientGone/)
    end
  end

  describe "on WEBrick, which hands no socket over" do
    before do
      skip "WEBrick is not installed on this system" unless ServerProcess.of(:webrick).version
      start(:webrick)
    end

    it "shows that a body was cut short, and has Rails' headers otherwise", id: "ST2" do
      seen = outcome(ask("cut"))
      expect(seen.whole && seen.status < 500).to be_falsey
      seen = outcome(ask("whole"))
      expect(seen).to have_attributes(status: 200, whole: true)
      expect(seen.head["x-request-id"]).not_to be_nil
      expect(seen.head.all("set-cookie")).to eq(%w[a=1 b=2])
    end
  end
end
