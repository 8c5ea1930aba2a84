# frozen_string_literal: true

# Exchanges that leave before their head has come: `delivery: :early` (/PORT/path), and what
# `proxy_fetch` does, from any Rack code (/fetch/PORT/path).
RSpec.shared_examples "early" do |profile|
  fetching = <<~'RUBY'
    map("/fetch") do
      rendering = {
        "piped" => lambda do |responder|
          reader, writer = IO.pipe
          writer << "rendered"
          writer.close
          responder.render(body: reader)
          reader.close
        end,
        "shrunk" => lambda do |responder|
          io = StringIO.new("short")
          def io.size = 9
          responder.render(body: io)
        end,
        "raising" => lambda do |responder|
          io = StringIO.new("x" * 1000)
          def io.size = nil
          def io.readpartial(most) = eof? ? raise("of the application's") : super
          responder.render(body: io)
        end
      }
      fetch = lambda do |env|
        url = "http://127.0.0.1:#{env["PATH_INFO"][1..]}?#{env["QUERY_STRING"]}".chomp("?")
        sent = { method: env["REQUEST_METHOD"], body: (:rack if env["REQUEST_METHOD"] == "POST") }
        sent[:delivery] = :body if url.include?("?each-")
        seen = proc do |config|
          config.on_headers { |response| response["x-seen"] = "yes" }
          rendered = rendering[url[/\w+\z/]] if url.include?("sent?")
          config.on_response { |_, responder| rendered.call(responder) } if rendered
        end
        Rack::StreamingProxy::Fetch.new(url, env, **sent, &seen).call || [200, {}, []]
      end
      run fetch
    end
  RUBY

  raising = <<~'RUBY'
    raising = Class.new do
      def initialize(app) = @app = app

      # As a rack-timeout does, or a server that forces its threads to end.
      def call(env)
        answer = @app.call(env)
        env["PATH_INFO"].end_with?("/raising") ? raise("behind") : answer
      end
    end
    use raising
  RUBY

  once do
    @go = EventQueue.new("sign to answer")
    @upstream = start_upstream { |connection| answer_by_path(connection) }
    rackup = profile.delivering(:early).rackup(above: raising, below: fetching)
    @server = start_server(profile.kind, rackup, **profile.server.single)
  end

  def answer_by_path(connection)
    request = connection.read_request
    case request.head.target
    when "/held", "/raising" then connection.respond(200, {}, @go.pop(within: 30))
    when %r{\A/sent} then connection.respond(200, {}, request.body)
    when "/cut" then connection.begin_chunked && connection.chunk("first")
    end
  end

  def early(way, path, verb = "GET", headers = {}, body = nil)
    connect(@server).tap do |client|
      client.request(verb, "#{way}/#{@upstream.port}#{path}", headers, body)
    end
  end

  def own_answer
    RawClient.open(@server.address) do |client|
      client.get("/__pid", { "Connection" => "close" })
      client.read_response(within: 20).body
    end
  end

  { "of the middleware's" => "", "of an application's own" => "/fetch" }.each do |whose, way|
    describe("exchanges #{whose}") do
      if profile.can?(:hijack)
        it "leave the only worker to others before there is a head", feature: :hijack do
          clients = Array.new(3) { early(way, "/held") }
          clients.each { @upstream.wait_for_request }
          expect(own_answer).to match(/\A\d+\z/)
          3.times { @go << "late" }
          seen = clients.map { |client| outcome(client) }
          expect(seen).to all(have_attributes(status: 200, body: "late", whole: true))
        end

        it "get no page of the server's for what is raised behind them", feature: :hijack do
          client = early(way, "/raising", "GET", { "Connection" => "close" })
          @upstream.wait_for_request
          expect(own_answer).to match(/\A\d+\z/)
          @go << "late"
          expect(outcome(client)).to have_attributes(status: 200, body: "late", whole: true)
          expect(client.read_to_end.first).to eq("")
        end
      else
        it "are ordinary ones", feature: :hijack do
          @go << "late"
          expect(outcome(early(way, "/held"))).to have_attributes(body: "late", whole: true)
          @server.output.wait_for(/delivery: .*threads/, within: 10)
        end
      end

      it "send up the client's body" do
        seen = outcome(early(way, "/sent", "POST", { "X-A" => "1" }, "sent" * 40_000))
        expect(seen).to have_attributes(status: 200, body: "sent" * 40_000, whole: true)
        expect(seen.head["x-seen"]).to eq("yes") unless way.empty?
      end

      it "show that a body was cut short", id: "ST2" do
        expect(outcome(early(way, "/cut")).whole).to be_falsey
      end

      it "are answered 502 if the upstream breaks off before its head" do
        expect(outcome(early(way, "/gone"))).to have_attributes(status: 502, whole: true)
      end
    end
  end

  it "sends what an application renders of an IO, and shows that one was cut short", id: "ST2" do
    seen = outcome(early("/fetch", "/sent?piped"))
    expect(seen).to have_attributes(status: 200, body: "rendered", whole: true)
    %w[shrunk raising each-shrunk each-raising].each do |way|
      expect(outcome(early("/fetch", "/sent?#{way}")).whole).to be_falsey, way
    end
  end

  after(:context) do
    open = -> { @server.stats[:exchanges].zero? }
    expect(Deadline.new(10).poll(&open)).to be_truthy
  end
end
