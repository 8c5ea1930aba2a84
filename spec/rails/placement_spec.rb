# frozen_string_literal: true

RSpec.describe "The proxy's place among a Rails application's middleware" do
  include RailsRequests

  head = "insert_before Rack::Head, "
  executor = "insert_before ActionDispatch::Executor, "

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

  def expect_ticks(server)
    client = connect(server)
    client.get("/search")
    client.read_head
    3.times do |number|
      expect(client.read_chunk).to eq("tick #{number}")
      @tick << true
    end
    expect(client.read_chunk).to be_nil
  end

  [head, executor].each do |insert|
    describe insert.delete_suffix(", ") do
      it "streams live, in production and in development" do
        %w[production development].each do |environment|
          server = start_rails(initializer(insert:), upstream: ticking_upstream, environment:)
          expect_ticks(server)
          expect(server.output.to_s).not_to match(/ETag/)
        end
      end

      it "stays behind HostAuthorization" do
        upstream = serving { [200, {}, "found"] }
        server = start_rails(initializer(insert:), upstream:)
        expect(get(server, "/search", "Host" => "evil.test").status).to eq(403)
        expect(upstream.requests).to be_empty
        expect(get(server, "/search").body).to eq("found")
      end

      it "stays behind force_ssl, which redirects and asks for HTTPS from then on" do
        upstream = serving { [200, { "Set-Cookie" => "a=b" }, "found"] }
        server = start_rails(initializer(insert:), upstream:, env: { "FORCE_SSL" => "1" })
        answer = get(server, "/search")
        expect([answer.status, answer.head["location"]])
          .to eq([301, "https://client.test/search"])
        expect(upstream.requests).to be_empty
        answer = get(server, "/search", "X-Forwarded-Proto" => "https")
        expect(answer.head["strict-transport-security"]).to match(/max-age/)
        expect(answer.head["set-cookie"]).to match(/\Aa=b; secure\z/i)
      end

      it "passes a form on whole" do
        upstream = serving { |request| [200, {}, "#{request.head.request_method} #{request.body}"] }
        server = start_rails(initializer(insert:), upstream:)
        expect(post(server, "/search", "a=1&b=%20").body).to eq("POST a=1&b=%20")
        verb = insert == head ? "PUT" : "POST"
        expect(post(server, "/search", "_method=put&b=2").body).to eq("#{verb} _method=put&b=2")
      end
    end
  end

  describe "use (at the end)" do
    if Rack.release >= "3"
      it "streams live on Rack 3" do
        expect_ticks(start_rails(initializer(insert: "use "), upstream: ticking_upstream))
      end
    else
      it "is warned of once on Rack 2, where Rack::ETag buffers, with the place to insert it" do
        server = start_rails(initializer(insert: "use "), upstream: ticking_upstream)
        2.times do
          3.times { @tick << true }
          expect(get(server, "/search").body).to eq("tick 0tick 1tick 2")
        end
        warnings = server.output.lines.grep(/Rack::StreamingProxy.*ETag/)
        expect(warnings.size).to eq(1)
        expect(warnings.first).to include("config.middleware.insert_before Rack::Head")
      end
    end
  end
end
