# frozen_string_literal: true

RSpec.describe Rack::StreamingProxy::Proxy, "and headers of one hop" do
  let(:upstream) { response_headers.then { |headers| serving { [200, headers, "ok"] } } }
  let(:response_headers) { {} }
  let(:app) { linted { upstream.url } }
  let(:head) { upstream.wait_for_request }

  describe "of the request" do
    it "removes every field that Connection names, and Connection itself", id: "HH1" do
      fetch(app, "/", "HTTP_CONNECTION" => "close, X-One,x-two ,\tX-THREE",
                      "HTTP_X_ONE" => "1", "HTTP_X_TWO" => "2", "HTTP_X_THREE" => "3",
                      "HTTP_X_FOUR" => "4")
      expect(head.names).not_to include("connection", "x-one", "x-two", "x-three")
      expect(head["x-four"]).to eq("4")
    end

    it "is not deceived by an empty first element of Connection", id: "HH1" do
      fetch(app, "/", "HTTP_CONNECTION" => ", X-One", "HTTP_X_ONE" => "1")
      expect(head.names).not_to include("connection", "x-one")
    end

    %w[Connection Proxy-Connection Keep-Alive Proxy-Authenticate Proxy-Authorization
       Proxy-Authentication-Info TE Trailer Upgrade].each do |name|
      ["something", ""].each do |value|
        it "removes #{name} with the value #{value.inspect}, listed or not", id: "HH2" do
          given = { "HTTP_#{name.upcase.tr("-", "_")}" => value }
          [{}, { "HTTP_CONNECTION" => name }].each do |listed|
            fetch(bare { upstream.url }, "/", listed.merge(given))
            expect(upstream.wait_for_request.names).not_to include(name.downcase)
          end
        end
      end
    end

    it "cannot be made to drop what the proxy adds itself", id: "HH3" do
      app = bare(headers: { "X-Api-Key" => "k" }) { upstream.url("/", credentials: "u:p") }
      fetch(app, "/", "HTTP_CONNECTION" => "X-Forwarded-For, Authorization, X-Api-Key, Via, Host",
                      "HTTP_X_FORWARDED_FOR" => "10.0.0.1", "REMOTE_ADDR" => "127.0.0.9")
      expect(head["x-forwarded-for"]).to end_with("127.0.0.9")
      expect(head["authorization"]).to start_with("Basic ")
      expect(head["x-api-key"]).to eq("k")
      expect(head.names).to include("via", "host")
    end

    it "does not change the env of the application", id: "HH4" do
      env = env_for("/a?b", :method => "POST", :input => "x", "HTTP_CONNECTION" => "X-One, close",
                            "HTTP_X_ONE" => "1", "HTTP_COOKIE" => "a=1, b=2", "HTTP_TE" => "x")
      before = env.transform_values { |value| value.is_a?(String) ? value.dup : value }
      _, _, body = bare { upstream.url }.call(env)
      read(body)
      expect(env).to include(before)
      expect((env.keys - before.keys).grep(/\AHTTP_/)).to be_empty
    end

    it "does not let a client's Connection: close cost the reuse of connections", id: "HH6" do
      3.times { fetch(app, "/", "HTTP_CONNECTION" => "close") }
      expect(upstream.requests.size).to eq(3)
      expect(upstream.connections.size).to eq(1)
    end

    it "keeps the field Trailers, which is of no hop", id: "HH7" do
      fetch(app, "/", "HTTP_TRAILERS" => "x")
      expect(head["trailers"]).to eq("x")
    end

    it "keeps unknown fields, also with digits in their names, and empty values", id: "HH8" do
      fetch(app, "/", "HTTP_X_B3_TRACEID" => "80f1", "HTTP_X_EMPTY" => "", "HTTP_1X" => "y")
      expect(head["x-b3-traceid"]).to eq("80f1")
      expect(head["1x"]).to eq("y")
      expect(head.all("x-empty")).to eq([""])
    end

    it "joins cookies with a semicolon", id: "HH10" do
      fetch(app, "/", "HTTP_COOKIE" => "a=1, b=2; c=3, d=4")
      expect(head.all("cookie")).to eq(["a=1; b=2; c=3; d=4"])
    end

    it "leaves a comma within a cookie's value alone", id: "HH10" do
      fetch(app, "/", "HTTP_COOKIE" => "list=1,2,3; b=x, y")
      expect(head["cookie"]).to eq("list=1,2,3; b=x, y")
    end

    it "leaves a comma alone that no server has put there", id: "HH10" do
      fetch(app, "/", "HTTP_COOKIE" => "prefs=x,lang=en")
      expect(head.all("cookie")).to eq(["prefs=x,lang=en"])
    end

    it "passes bytes beyond ASCII unchanged", id: "HH11" do
      fetch(bare { upstream.url }, "/", "HTTP_X_LATIN" => "caf\xE9".b, "HTTP_X_UTF8" => "grün")
      expect(head["x-latin"].b).to eq("caf\xE9".b)
      expect(head["x-utf8"].b).to eq("grün".b)
    end

    it "invents no Accept, Accept-Encoding or User-Agent", id: "HH12" do
      fetch(app)
      expect(head.names).not_to include("accept", "accept-encoding", "user-agent", "version")
      expect(head.names).to match_array(head.names.uniq)
    end

    it "does not modify Authorization", id: "HH13" do
      fetch(app, "/", "HTTP_AUTHORIZATION" => "NTLM  tOken==")
      expect(head["authorization"]).to eq("NTLM  tOken==")
    end
  end

  describe "of the response" do
    context "with Connection naming others" do
      let(:response_headers) do
        { "Connection" => ["X-One", "x-two, keep-alive"], "X-One" => "1", "X-Two" => "2",
          "X-Three" => "3", "Keep-Alive" => "timeout=5" }
      end

      it "removes them all", id: "HH1" do
        answer = fetch(app)
        expect(answer.headers.keys.map(&:downcase))
          .not_to include("connection", "x-one", "x-two", "keep-alive")
        expect(answer["X-Three"]).to eq("3")
      end
    end

    context "with an empty first Connection line" do
      let(:response_headers) { { "Connection" => ["", "X-One"], "X-One" => "1" } }

      it "removes what the second one names", id: "HH1" do
        expect(fetch(app)["X-One"]).to be_nil
      end
    end

    %i[puma unicorn].each do |kind|
      context "with empty values among others of their name, on #{kind}" do
        let(:response_headers) { { "X-Some" => ["", "a", "", "b", ""], "X-None" => ["", ""] } }

        it "keeps them all, in their order", id: "HH8" do
          server = start_server(kind, RackupText.proxy, env: { "UPSTREAM" => upstream.url("") })
          client = connect(server)
          client.get("/", { "Connection" => "close" })
          answer = client.read_head
          expect([answer.all("x-some"), answer.all("x-none")])
            .to eq([["", "a", "", "b", ""], ["", ""]])
        end
      end
    end

    context "with every field of one hop" do
      let(:response_headers) do
        %w[Proxy-Connection Keep-Alive Proxy-Authenticate Proxy-Authorization
           Proxy-Authentication-Info TE Trailer Upgrade].to_h { |name| [name, "x"] }
      end

      it "removes them", id: "HH2" do
        answer = fetch(app)
        expect(answer.status).to eq(200)
        expect(answer.headers.keys.map(&:downcase) & response_headers.keys.map(&:downcase))
          .to be_empty
      end
    end

    context "with Connection: close" do
      let(:response_headers) { { "Connection" => "close" } }

      it "keeps the client's connection on Puma open", id: "HH6" do
        server = start_puma(RackupText.proxy, env: { "UPSTREAM" => upstream.url("") })
        client = connect(server)
        2.times do
          client.get("/")
          response = client.read_response
          expect([response.status, response.body]).to eq([200, "ok"])
          expect(response.head["connection"]).to be_nil
        end
      end
    end

    context "with Latin-1 in a value" do
      let(:response_headers) { { "X-Latin" => "caf\xE9".b } }

      it "passes the bytes", id: "HH11" do
        _, headers, body = bare { upstream.url }.call(env_for)
        read(body)
        expect(header_lines(headers)["x-latin"].map(&:b)).to eq(["caf\xE9".b])
      end
    end

    context "with WWW-Authenticate, Date and Server" do
      let(:response_headers) do
        { "WWW-Authenticate" => 'Basic realm="x, y"', "Date" => "Wed, 01 Jan 2031 00:00:00 GMT",
          "Server" => "scripted" }
      end

      it "leaves them alone", id: %w[HH13 HH14] do
        answer = fetch(app)
        response_headers.each { |name, value| expect(answer[name]).to eq(value) }
      end
    end
  end
end
