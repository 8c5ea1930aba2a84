# frozen_string_literal: true

require "zlib"

RSpec.describe Rack::StreamingProxy::Proxy, "and responses" do
  # The response that the upstream gives to everything.
  let(:raw) { "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" }
  # The thread of the upstream may not ask for `raw`: the example may hold the lock of its `let`s.
  let(:upstream) { raw.then { |bytes| serving { bytes } } }
  let(:app) { linted { upstream.url } }

  def raw_response(status, *lines, body: "")
    "HTTP/1.1 #{status}\r\n#{lines.map { |line| "#{line}\r\n" }.join}\r\n#{body}"
  end

  def self.upstream_says(status, *lines, body: "")
    let(:raw) { raw_response(status, *lines, body:) }
  end

  context "with several Set-Cookie lines" do
    upstream_says "200 OK", "Set-Cookie: a=1; expires=Wed, 01 Jan 2031 00:00:00 GMT",
                  "Set-Cookie: b=2; path=/", "Content-Length: 0"

    it "keeps each a line of its own, in order", id: "HH9" do
      expect(fetch(app).lines("Set-Cookie"))
        .to eq(["a=1; expires=Wed, 01 Jan 2031 00:00:00 GMT", "b=2; path=/"])
    end
  end

  context "with several lines of another name" do
    upstream_says "200 OK", "X-Multi: one", "Link: </a>; rel=x", "X-Multi: two, three",
                  "Link: </b>", "X-Empty:", "Content-Length: 0"

    it "keeps them as lines, in order, and empty values", id: "HH8" do
      answer = fetch(app)
      expect(answer.lines("X-Multi")).to eq(["one", "two, three"])
      expect(answer.lines("Link")).to eq(["</a>; rel=x", "</b>"])
      expect(answer["X-Empty"]).to eq("")
    end
  end

  context "with a gzip body" do
    compressed = Zlib.gzip("compressed " * 100)
    upstream_says "200 OK", "Content-Encoding: gzip", "Vary: Accept-Encoding", 'ETag: "abc"',
                  "Content-Length: #{compressed.bytesize}", body: compressed

    it "passes the very bytes and their headers", id: "RS4" do
      answer = fetch(app)
      expect(answer.body).to eq(compressed.b)
      expect(answer["Content-Encoding"]).to eq("gzip")
      expect(answer["Content-Length"]).to eq(compressed.bytesize.to_s)
      expect(answer["Vary"]).to eq("Accept-Encoding")
      expect(answer["ETag"]).to eq('"abc"')
    end
  end

  context "with a part of a resource" do
    upstream_says "206 Partial Content", "Content-Range: bytes 0-2/10", "Content-Length: 3",
                  body: "abc"

    it "passes status and range", id: "RS4" do
      answer = fetch(app)
      expect([answer.status, answer.body]).to eq([206, "abc"])
      expect(answer["Content-Range"]).to eq("bytes 0-2/10")
    end
  end

  context "with a response to HEAD" do
    upstream_says "200 OK", "Content-Length: 300", "Content-Type: text/plain"

    it "has no body, keeps Content-Length and the connection", id: "RS2" do
      _, headers, body = bare { upstream.url }.call(env_for("/", method: "HEAD"))
      expect(read(body)).to eq("")
      expect(header_lines(headers)["content-length"]).to eq(["300"])
      expect(fetch(app, "/", method: "HEAD").status).to eq(200)
      expect(upstream.connections.size).to eq(1)
    end
  end

  context "with 204" do
    upstream_says "204 No Content", "X-Kept: yes"

    it "has no body and no entity headers", id: "RS1" do
      status, headers, body = bare { upstream.url }.call(env_for)
      expect([status, read(body)]).to eq([204, ""])
      expect(headers.keys.map(&:downcase)).not_to include("content-length", "content-type")
      expect(fetch(app)["X-Kept"]).to eq("yes")
    end
  end

  context "with 304" do
    upstream_says "304 Not Modified", "Content-Length: 300", "Content-Type: text/html",
                  'ETag: "x"'

    it "has no body and no entity headers, and keeps the connection", id: "RS1" do
      _, headers, body = bare { upstream.url }.call(env_for)
      expect(read(body)).to eq("")
      expect(headers.keys.map(&:downcase)).not_to include("content-length", "content-type")
      answer = fetch(app)
      expect([answer.status, answer["ETag"]]).to eq([304, '"x"'])
      expect(upstream.connections.size).to eq(1)
    end
  end

  [301, 302, 303, 307, 308].each do |status|
    context "with the redirect #{status}" do
      upstream_says "#{status} Elsewhere", "Location: http://127.0.0.1:1/other?x=%2F",
                    "Content-Length: 3", body: "bye"

      it "passes it on and does not follow it", id: "SS5" do
        answer = fetch(app)
        expect([answer.status, answer.body]).to eq([status, "bye"])
        expect(answer["Location"]).to eq("http://127.0.0.1:1/other?x=%2F")
        expect(upstream.requests.size).to eq(1)
      end
    end
  end

  [200, 201, 299, 400, 404, 418, 499, 500, 503, 599, 999].each do |code|
    context "with the status #{code}" do
      upstream_says "#{code} Whatever", "Content-Length: 2", body: "ok"

      it "passes it on as an Integer" do
        answer = fetch(app)
        expect([answer.status, answer.body]).to eq([code, "ok"])
      end
    end
  end

  context "with interim responses before the final one" do
    let(:raw) do
      "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" \
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    end

    it "answers with the final one", id: "ST10" do
      answer = fetch(app)
      expect([answer.status, answer.body, answer["Link"]]).to eq([200, "ok", nil])
    end
  end

  context "with trailers" do
    upstream_says "200 OK", "Transfer-Encoding: chunked", "Trailer: X-Late",
                  body: "2\r\nok\r\n0\r\nX-Late: 1\r\n\r\n"

    it "drops them and does not announce them", id: "ST11" do
      answer = fetch(app)
      expect(answer.body).to eq("ok")
      expect([answer["Trailer"], answer["X-Late"]]).to eq([nil, nil])
    end
  end

  context "with a body that ends with the connection" do
    let(:upstream) do
      start_upstream do |connection|
        connection.read_head
        connection.write("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nall of it")
      end
    end

    it "passes it whole", id: "ST3" do
      answer = fetch(app)
      expect(answer.body).to eq("all of it")
      expect(answer["Content-Length"]).to be_nil
    end
  end

  context "with both Content-Length and chunks" do
    upstream_says "200 OK", "Content-Length: 30", "Transfer-Encoding: chunked",
                  body: "3\r\nabc\r\n0\r\n\r\n"

    it "never passes the false length on" do
      answer = fetch(app)
      expect(answer["Content-Length"]).to be_nil
      expect([[200, "abc"], [502, answer.body]]).to include([answer.status, answer.body])
    end
  end

  describe "the body" do
    let(:raw) { raw_response("200 OK", "Content-Length: 3", body: "abc") }
    let(:body) { bare { upstream.url }.call(env_for).last }

    it "does not answer to_ary, to_path or call, which would have it buffered", id: "ST12" do
      expect(body).not_to respond_to(:to_ary)
      expect(body).not_to respond_to(:to_path)
      expect(body).not_to respond_to(:call)
      body.close
    end

    it "may be closed without each, and twice" do
      body.close
      expect { body.close }.not_to raise_error
    end

    it "yields binary Strings" do
      chunks = []
      body.each { |chunk| chunks << chunk }
      body.close
      expect(chunks.join).to eq("abc")
      expect(chunks.map(&:encoding).uniq).to eq([Encoding::BINARY])
    end

    it "says so when it is read after close" do
      body.close
      expect { read(body) }
        .to raise_error(Rack::StreamingProxy::BodyError, "the body is closed")
    end

    it "does not start again after close" do
      body.close
      chunks = []
      begin
        body.each { |chunk| chunks << chunk }
      rescue IOError, Rack::StreamingProxy::Failure
        nil
      end
      expect(chunks).to be_empty
    end
  end
end
