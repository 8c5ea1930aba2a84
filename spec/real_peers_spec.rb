# frozen_string_literal: true

require "digest/sha2"
require "net/http"
require "open3"

RSpec.describe "Real clients before real servers" do
  # A scripted upstream whose answer depends on the path.
  def self.answers
    {
      "/head" => "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n",
      "/204" => "HTTP/1.1 204 No Content\r\n\r\n",
      "/304" => "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 5\r\n\r\n",
      "/cookies" => "HTTP/1.1 200 OK\r\nSet-Cookie: a=1; path=/\r\nSet-Cookie: b=2\r\n" \
                    "X-Latin: caf\xE9\r\nContent-Length: 2\r\n\r\nok".b,
      "/500" => "HTTP/1.1 500 Broken\r\nContent-Length: 6\r\n\r\nbroken"
    }
  end

  def curl(*arguments, input: nil)
    output, status = Open3.capture2("curl", "-sS", "--max-time", "20", *arguments,
                                    stdin_data: input.to_s, binmode: true)
    expect(status).to be_success
    output
  end

  %i[puma unicorn].each do |kind|
    context "on #{kind}" do
      once do
        answers = self.class.answers
        @upstream = serving do |request|
          answers.fetch(request.head.target) do
            [200, {}, "#{request.head.request_method} #{Digest::SHA256.hexdigest(request.body)}"]
          end
        end
        @server = start_server(kind, RackupText.proxy, env: { "UPSTREAM" => @upstream.url("") })
      end

      # Everything that the server writes for a request, up to its closing.
      def bytes_for(verb, path)
        client = connect(@server)
        client.request(verb, path, { "Connection" => "close" })
        client.read_to_end.first
      end

      { "HEAD" => "/head", "GET" => %w[/204 /304] }.each do |verb, paths|
        Array(paths).each do |path|
          it "writes no body for #{verb} #{path}", id: "RS1" do
            expect(bytes_for(verb, path)).to end_with("\r\n\r\n")
          end
        end
      end

      it "keeps Content-Length of HEAD", id: "RS2" do
        expect(bytes_for("HEAD", "/head")).to match(/^content-length: 5\r$/i)
      end

      it "writes no body for HEAD when the upstream fails" do
        server = start_server(kind, RackupText.proxy,
                              env: { "UPSTREAM" => "http://127.0.0.1:#{closed_port}" })
        client = connect(server)
        client.request("HEAD", "/", { "Connection" => "close" })
        bytes, = client.read_to_end
        expect(bytes).to start_with("HTTP/1.1 502 ").and end_with("\r\n\r\n")
      end

      it "keeps Set-Cookie lines and Latin-1 bytes on the wire", id: "HH9" do
        head = RawHead.new(bytes_for("GET", "/cookies").split("\r\n\r\n").first)
        expect(head.all("set-cookie")).to eq(["a=1; path=/", "b=2"])
        expect(head["x-latin"].b).to eq("caf\xE9".b)
      end

      it "passes a 500 on" do
        expect(bytes_for("GET", "/500")).to match(%r{\AHTTP/1\.1 500 .*broken\z}m)
      end

      it "serves Net::HTTP, GET and POST, with and without length" do
        Net::HTTP.start("127.0.0.1", @server.port) do |http|
          expect(http.get("/x").body).to start_with("GET ")
          body = "n" * 200_000
          expect(http.post("/x", body).body).to eq("POST #{Digest::SHA256.hexdigest(body)}")
          request = Net::HTTP::Put.new("/x", "Transfer-Encoding" => "chunked")
          request.body_stream = StringIO.new(body)
          expect(http.request(request).body).to eq("PUT #{Digest::SHA256.hexdigest(body)}")
        end
      end

      it "serves curl: uploads with and without length, HEAD, HTTP/1.0" do
        body = Random.bytes(300_000)
        digest = Digest::SHA256.hexdigest(body)
        url = @server.url("/x")
        expect(curl("--data-binary", "@-", url, input: body)).to eq("POST #{digest}")
        expect(curl("-T", "-", url, input: body)).to eq("PUT #{digest}")
        expect(curl("-0", url)).to start_with("GET ")
        expect(curl("-I", @server.url("/head"))).to match(/^content-length: 5\r$/i)
      end

      # An upstream that asks for the body of a request that expects it to, and counts its bytes.
      def asking
        start_upstream do |connection|
          head = connection.read_head
          connection.write("HTTP/1.1 100 Continue\r\n\r\n") if head["expect"]
          body = connection.read_body(head["content-length"].to_i)
          connection.respond(200, {}, body.bytesize.to_s)
        end
      end

      it "serves curl's Expect: 100-continue without its waiting" do
        server = start_server(kind, RackupText.proxy, env: { "UPSTREAM" => asking.url("") })
        at_once = takes_less_than?(0.9) do # curl gives up the waiting after a second
          answer = curl("-H", "Expect: 100-continue", "--data-binary", "@-", server.url("/x"),
                        input: "e" * 2_000_000)
          expect(answer).to eq("2000000")
        end
        expect(at_once).to be(true)
      end
    end
  end

  it "keeps a client's connection to Puma alive through many responses" do
    upstream = serving do |request|
      request.head.target.end_with?("chunked") ? chunked_answer : [200, {}, "plain"]
    end
    server = start_puma(RackupText.proxy, env: { "UPSTREAM" => upstream.url("") })
    client = connect(server)
    %w[/ /chunked / /chunked /].each do |path|
      client.get(path)
      expect(client.read_response.body).to eq(path == "/" ? "plain" : "chunked")
    end
    expect(upstream.connections.size).to eq(1)
  end

  def chunked_answer
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nchunked\r\n0\r\n\r\n"
  end

  context "with nginx behind" do
    once do
      @nginx = keep(NginxProcess.new)
      @bytes = Random.bytes(20 << 20)
      @nginx.serve("big", @bytes)
      @nginx.serve("limited", @bytes[0, 4_000_000]) # at 200,000 bytes a second
      @server = start_puma(RackupText.proxy, env: { "UPSTREAM" => @nginx.url("") })
    end

    it "gives its files, byte for byte" do
      expect(Digest::SHA256.digest(curl(@server.url("/big")))).to eq(Digest::SHA256.digest(@bytes))
    end

    it "gives parts of its files" do
      expect(curl("-r", "1000-1999", @server.url("/big"))).to eq(@bytes[1000, 1000])
      multipart = curl("-r", "0-1,10-11", "-i", @server.url("/big"))
      expect(multipart).to match(%r{content-type: multipart/byteranges}i)
    end

    it "gives 304 to a client that has the file" do
      etag = curl("-I", @server.url("/big"))[/^etag: (.*)\r$/i, 1]
      expect(curl("-i", "-H", "If-None-Match: #{etag}", @server.url("/big")))
        .to match(%r{\AHTTP/1\.1 304 .*\r\n\r\n\z}m)
    end

    it "streams what it sends slowly" do
      client = connect(@server)
      seconds = elapsed do
        client.get("/limited")
        client.read_head
        client.read_some
      end
      expect(seconds).to be < 10
    end

    it "passes its statuses and its refusal of a large upload on", id: "ST6" do
      expect(curl("-i", @server.url("/teapot"))).to match(/ 418 .*short and stout\z/m)
      expect(curl("-i", @server.url("/empty"))).to match(/ 204 /)
      expect(curl("-i", "--data-binary", "@-", @server.url("/teapot"), input: "u" * 5_000_000))
        .to match(/ 41[38] /)
    end

    it "gives many clients their files at the same time" do
      expected = Digest::SHA256.digest(@bytes)
      clients = Array.new(8) do
        in_thread { Digest::SHA256.digest(Net::HTTP.get(URI(@server.url("/big")))) }
      end
      expect(clients.map(&:value)).to all(eq(expected))
    end
  end
end
