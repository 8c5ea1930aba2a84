# frozen_string_literal: true

RSpec.describe Rack::StreamingProxy::Proxy, "and reuse of connections" do
  # The first connection serves one request and then meets its fate while it lies in the pool; the
  # next ones serve on.
  def upstream_whose_first_connection(&fate)
    first = true
    start_upstream do |connection|
      next connection.serve { |request| [200, {}, "fresh #{request.body}"] } unless first

      first = false
      connection.read_request
      connection.respond(200, {}, "first")
      fate.call(connection)
    end
  end

  {
    "with a length" => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "in chunks" =>
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
    "of chunks that are none" => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "with length 0" => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "of 204" => "HTTP/1.1 204 No Content\r\n\r\n",
    "of 205" => "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n",
    "of 304 with a length" => "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n",
    "of 404 with a body" => "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone",
    "of HTTP/1.0 with keep-alive" =>
      "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"
  }.each do |what, response|
    it "reuses after a response #{what}", id: "CN1" do
      upstream = serving { response }
      5.times { fetch(linted { upstream.url }) }
      expect(upstream.requests.size).to eq(5)
      expect(upstream.connections.size).to eq(1)
    end
  end

  {
    "with Connection: close" =>
      "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 0\r\n\r\n",
    "of HTTP/1.0" => "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "with a length beside chunks" =>
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n" \
      "2\r\nok\r\n0\r\n\r\n",
    "with bytes too many" => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 666"
  }.each do |what, response|
    it "does not reuse after a response #{what}", id: "CN1" do
      upstream = serving { response }
      answers = Array.new(3) { fetch(linted { upstream.url }).status }
      expect(answers).to eq([200, 200, 200])
      expect(upstream.connections.size).to eq(3)
    end
  end

  # What the client sent, what the upstream answered: one of them makes the connection somebody's.
  {
    "a client has authenticated with NTLM" => ["NTLM TlRMTVNTUAAB", "200 OK\r\nX-A: b"],
    "a client has authenticated with Negotiate" => ["negotiate YIIGhgYGK", "200 OK\r\nX-A: b"],
    "the upstream asks for NTLM" => [nil, "401 Who\r\nWWW-Authenticate: NTLM"],
    "the upstream asks for Negotiate among others" =>
      [nil, "401 Who\r\nWWW-Authenticate: Basic realm=\"x\", Negotiate"]
  }.each do |what, (authorization, answer)|
    it "does not reuse a connection on which #{what}", id: "HH13" do
      upstream = serving { "HTTP/1.1 #{answer}\r\nContent-Length: 2\r\n\r\nok" }
      env = authorization ? { "HTTP_AUTHORIZATION" => authorization } : {}
      2.times { expect(fetch(linted { upstream.url }, "/", env.dup).body).to eq("ok") }
      fetch(linted { upstream.url })
      sent = upstream.connections.map { |connection| connection.heads.size }
      expect(sent).to eq([1, 1, 1])
    end
  end

  it "does not reuse a connection on which headers: authenticates with NTLM", id: "HH13" do
    upstream = serving { [200, {}, "ok"] }
    2.times { fetch(linted(headers: { "Authorization" => "NTLM TlRM" }) { upstream.url }) }
    expect(upstream.connections.size).to eq(2)
  end

  it "reuses a connection after authentication that is the request's own", id: "HH13" do
    upstream = serving { [200, { "WWW-Authenticate" => "Bearer scope=\"ntlm\"" }, "ok"] }
    2.times { fetch(linted { upstream.url }, "/", "HTTP_AUTHORIZATION" => "Basic TlRMTQ==") }
    expect(upstream.connections.size).to eq(1)
  end

  it "reuses after an answer to HEAD, whatever length it announces", id: "CN1" do
    upstream = serving { "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n" }
    5.times { fetch(linted { upstream.url }, "/", method: "HEAD") }
    expect([upstream.requests.size, upstream.connections.size]).to eq([5, 1])
  end

  it "does not reuse a connection whose body was not read to its end", id: "CN2" do
    upstream = start_upstream do |connection|
      connection.read_head
      connection.respond(200, { "Content-Length" => 10_000_000 }, "x" * 100_000)
      connection.wait_for_end(within: 10)
    end
    app = bare { upstream.url }
    2.times do
      _, _, body = app.call(env_for)
      body.close
      connection = upstream.wait_for_connection
      expect(Deadline.new(10).poll { connection.ending }).not_to be_nil
    end
  end

  it "keeps hosts and ports apart", id: "CN4" do
    first = serving { [200, {}, "first"] }
    second = serving { [200, {}, "second"] }
    app = linted { |request| (request.path == "/1" ? first : second).url }
    expect(%w[/1 /2 /1 /2].map { |path| fetch(app, path).body })
      .to eq(%w[first second first second])
  end

  it "does not use a connection made without verification when verification is asked", id: "CN4" do
    upstream = serving(tls: TestAuthority.new.context) { [200, {}, "ok"] }
    expect(fetch(linted(verify_ssl: false) { upstream.url }).status).to eq(200)
    expect(fetch(linted { upstream.url }).status).to eq(502)
    expect(fetch(linted(verify_ssl: false) { upstream.url }).status).to eq(200)
  end

  describe "when the pooled connection has gone stale" do
    it "takes a fresh one for GET when the upstream has closed it", id: "CN3" do
      closed = EventQueue.new
      upstream = upstream_whose_first_connection do |connection|
        connection.close
        closed << true
      end
      app = linted { upstream.url }
      expect(fetch(app).body).to eq("first")
      closed.pop
      expect(fetch(app).body).to eq("fresh ")
    end

    it "takes a fresh one for POST when nothing of it was sent", id: "CN3" do
      upstream = upstream_whose_first_connection(&:close)
      app = linted { upstream.url }
      fetch(app)
      Deadline.new(10).poll { upstream.connections.first.closed? }
      Deadline.new(0.5).poll { Rack::StreamingProxy.stats[:idle_connections].zero? }
      expect(fetch(app, "/", method: "POST", input: "p").body).to eq("fresh p")
    end

    it "repeats GET once on a fresh one when it dies under the request", id: "CN3" do
      upstream = upstream_whose_first_connection do |connection|
        connection.read_head
        connection.reset
      end
      app = linted { upstream.url }
      fetch(app)
      expect(fetch(app).body).to eq("fresh ")
      expect(upstream.connections.size).to eq(2)
    end

    it "repeats PUT, which is repeatable, with its body", id: "CN3" do
      upstream = upstream_whose_first_connection do |connection|
        connection.read_head
        connection.close
      end
      app = linted { upstream.url }
      fetch(app)
      expect(fetch(app, "/", method: "PUT", input: "p" * 1000).body).to eq("fresh #{"p" * 1000}")
    end

    it "repeats POST with an Idempotency-Key", id: "CN3" do
      upstream = upstream_whose_first_connection do |connection|
        connection.read_request
        connection.reset
      end
      app = linted { upstream.url }
      fetch(app)
      answer = fetch(app, "/", :method => "POST", :input => "p", "HTTP_IDEMPOTENCY_KEY" => "1")
      expect(answer.body).to eq("fresh p")
    end

    it "never sends a POST twice", id: "CN3" do
      upstream = upstream_whose_first_connection do |connection|
        connection.read_request
        connection.reset
      end
      app = linted { upstream.url }
      fetch(app)
      expect(fetch(app, "/", method: "POST", input: "p").status).to eq(502)
      expect(upstream.requests.count { |head| head.request_method == "POST" }).to eq(1)
    end
  end

  it "does not repeat on a connection that was fresh", id: "CN3" do
    upstream = start_upstream(&:read_head)
    expect(fetch(linted { upstream.url }).status).to eq(502)
    expect(upstream.connections.size).to eq(1)
  end

  it "does not repeat once a byte of the response has come", id: "CN3" do
    upstream = upstream_whose_first_connection do |connection|
      connection.read_head
      connection.write("HTTP/1.1 2")
    end
    app = linted { upstream.url }
    fetch(app)
    expect(fetch(app).status).to eq(502)
    expect(upstream.connections.size).to eq(1)
  end
end
