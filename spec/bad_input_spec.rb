# frozen_string_literal: true

RSpec.describe Rack::StreamingProxy::Proxy, "and bad input" do
  let(:upstream) { serving { |request| [200, {}, request.body] } }

  describe "from the block" do
    {
      "a relative URL" => "/relative/path",
      "a URL without a scheme" => "127.0.0.1:80/x",
      "another scheme with credentials" => "ftp://user:s3cret@127.0.0.1/x",
      "no host" => "http://",
      "no host but a path" => "http:///x",
      "a space in the path" => "http://127.0.0.1/a b",
      "a space in the host" => "http://127.0.0 .1/",
      "CR and LF" => "http://127.0.0.1/a\r\nX-Injected: 1",
      "a tab" => "http://127.0.0.1/a\tb",
      "a NUL" => "http://127.0.0.1/a\0b",
      "a port over 65535" => "http://127.0.0.1:99999/",
      "a port that is none" => "http://127.0.0.1:x/",
      "a backslash in the host" => "http://127.0.0.1\\other/",
      "an empty String" => ""
    }.each do |what, url|
      it "refuses #{what}, naming it" do
        expect { fetch(bare { url }) }
          .to raise_error(Rack::StreamingProxy::ConfigurationError) { |error|
            shown = url.sub("user:s3cret", "").split(/[\s\0\\]/).first.to_s[0, 20]
            expect(error.message).to include(shown.split("@").last.to_s)
            expect(error.message).not_to include("s3cret")
            expect(error.message).not_to match(/[\r\n\0]/)
          }
      end
    end

    it "refuses 100 KB of URL, showing at most 200 bytes of it" do
      url = upstream.url("/#{"x" * 100_000}")
      expect { fetch(bare { url }) }
        .to raise_error(Rack::StreamingProxy::ConfigurationError) { |error|
          expect(error.message).to include(url[0, 50])
          expect(error.message.bytesize).to be < 500
        }
      expect(upstream.connections).to be_empty
    end

    [42, :symbol, [], {}, Object].each do |value|
      it "refuses #{value.inspect}, naming it" do
        expect { fetch(bare { value }) }
          .to raise_error(Rack::StreamingProxy::ConfigurationError,
                          /#{Regexp.escape(value.inspect)}/)
      end
    end

    it "sends nothing" do
      ["#{upstream.url("/a")} b", "#{upstream.url("/a")}\r\nX: 1"].each do |url|
        expect { fetch(bare { url }) }.to raise_error(Rack::StreamingProxy::ConfigurationError)
      end
      expect(upstream.connections).to be_empty
    end

    it "refuses with the exception also under Rack::Lint and without raise_on_error" do
      expect { fetch(linted(raise_on_error: false) { "nonsense" }) }
        .to raise_error(Rack::StreamingProxy::ConfigurationError, /nonsense/)
    end

    it "refuses a Target with a bad URL" do
      expect { fetch(bare { Rack::StreamingProxy::Target.new("ftp://127.0.0.1/") }) }
        .to raise_error(Rack::StreamingProxy::ConfigurationError, /ftp/)
    end
  end

  describe "from the client" do
    def status_for(env)
      fetch(bare { upstream.url }, "/", env).status
    end

    ["-1", "5garbage", "5, 6", "+5", "0x5", "1.0", " ", "9" * 30, "5\r\nX: 1"].each do |length|
      it "answers Content-Length #{length.inspect} with 400" do
        expect(status_for(:method => "POST", :input => "hello",
                          "CONTENT_LENGTH" => length)).to eq(400)
        expect(upstream.requests).to be_empty
      end
    end

    ["a\r\nX-Injected: 1", "a\nb", "a\rb", "a\0b"].each do |value|
      it "answers a header value #{value.inspect} with 400", id: "RQ13" do
        expect(status_for("HTTP_X_BAD" => value)).to eq(400)
        expect(upstream.requests).to be_empty
      end
    end

    it "answers a header name with CR and LF with 400", id: "RQ13" do
      expect(status_for("HTTP_X_BAD\r\nX_INJECTED" => "1")).to eq(400)
      expect(upstream.requests).to be_empty
    end

    it "answers a content type with CR and LF with 400", id: "RQ13" do
      expect(status_for(:method => "POST", :input => "x", "CONTENT_TYPE" => "a\r\nX: 1")).to eq(400)
      expect(upstream.requests).to be_empty
    end

    it "takes a header Version, on Puma, for nothing that is known of HTTP" do
      server = start_puma(RackupText.proxy, env: { "UPSTREAM" => upstream.url("") })
      ["abc", "\xFF".b].each do |version|
        client = connect(server)
        client.get("/", { "Version" => version })
        expect(client.read_response.status).to eq(200)
        expect(upstream.wait_for_request["via"]).to match(/\A1\.[01] [!-~]+\z/)
      end
    end

    it "answers in plain text, without naming the upstream" do
      answer = fetch(bare { upstream.url }, "/", "HTTP_X_BAD" => "a\nb")
      expect(answer["Content-Type"]).to match(%r{\Atext/plain})
      expect(answer.body).to include("400")
      expect(answer.body).not_to include(upstream.authority)
    end
  end

  describe "from rack.input" do
    # An input that gives the pieces in turn and raises those that are exceptions.
    let(:scripted_input) do
      Class.new do
        def initialize(*pieces)
          @pieces = pieces
        end

        def read(*)
          piece = @pieces.shift
          piece.is_a?(Exception) ? raise(piece) : piece
        end
      end
    end

    # What the upstream got of a body: all bytes until the proxy ended the connection.
    def sent_upstream(input, env)
      got = EventQueue.new("end of the request")
      upstream = start_upstream do |connection|
        connection.read_head
        got << connection.read_to_end
      rescue RawSocket::Ended
        got << ["", connection.ending]
      end
      base = env_for("/", method: "POST").except("CONTENT_LENGTH")
      status, _, body = bare(timeout: 3) do
        upstream.url
      end.call(base.merge("rack.input" => input).merge(env))
      read(body)
      [status, upstream.connections.empty? ? nil : got.pop]
    end

    it "that ends early with a length is a 400, and the upstream sees no whole request",
       id: "RQ6" do
      status, (bytes, ending) = sent_upstream(scripted_input.new("abc"), "CONTENT_LENGTH" => "10")
      expect(status).to eq(400)
      expect(bytes.to_s.bytesize).to be < 10
      expect(ending).not_to be_nil if bytes
    end

    it "that raises with a length is a 400, and the upstream sees no whole request", id: "RQ6" do
      input = scripted_input.new("abc", IOError.new("gone"))
      status, (bytes,) = sent_upstream(input, "CONTENT_LENGTH" => "10")
      expect(status).to eq(400)
      expect(bytes.to_s.bytesize).to be < 10
    end

    it "that raises without a length never gets its last chunk", id: "RQ6" do
      input = scripted_input.new("abc", EOFError.new("client left"))
      status, (bytes,) = sent_upstream(input, "HTTP_TRANSFER_ENCODING" => "chunked")
      expect(status).to eq(400)
      expect(ChunkedBody.new(bytes.to_s)).not_to be_complete
    end

    it "that raises no I/O error is the application's own exception" do
      input = scripted_input.new("abc", ArgumentError.new("own"))
      expect { sent_upstream(input, "CONTENT_LENGTH" => "10") }.to raise_error(ArgumentError, "own")
    end

    it "that gives more than it was asked for never gets more than its length upstream" do
      input = scripted_input.new("hello and much more")
      _, (bytes,) = sent_upstream(input, "CONTENT_LENGTH" => "5")
      expect(bytes.to_s).to eq("").or eq("hello")
    end

    it "that is nil is no body" do
      env = env_for("/").merge("rack.input" => nil)
      status, _, body = bare { upstream.url }.call(env)
      expect([status, read(body)]).to eq([200, ""])
    end
  end
end
