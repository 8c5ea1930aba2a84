# frozen_string_literal: true

RSpec.describe Rack::StreamingProxy::Proxy, "and https" do
  let(:authority) { TestAuthority.new }

  def secure(**certificate)
    serving(tls: authority.context(**certificate)) { |request| [200, {}, "got #{request.body}"] }
  end

  it "reaches an upstream that the given authority vouches for", id: "CN7" do
    upstream = secure
    answer = fetch(linted(ca_file: authority.file) { upstream.url }, "/",
                   method: "POST", input: "x" * 100_000)
    expect([answer.status, answer.body]).to eq([200, "got #{"x" * 100_000}"])
  end

  it "verifies the name that the URL says", id: "CN7" do
    upstream = secure(names: "DNS:localhost")
    app = linted(ca_file: authority.file) { |request| "https://#{request.path[1..]}:#{upstream.port}/" }
    expect(fetch(app, "/localhost").status).to eq(200)
    expect(fetch(app, "/127.0.0.1").status).to eq(502)
  end

  it "answers 502 when another authority signed", id: "CN7" do
    other = TestAuthority.new("Other")
    expect(fetch(linted(ca_file: other.file) { secure.url }).status).to eq(502)
  end

  it "answers 502 by default to an authority that the system does not know", id: "CN7" do
    upstream = secure
    expect(fetch(linted { upstream.url }).status).to eq(502)
    expect(upstream.requests).to be_empty
  end

  it "answers 502 to an expired certificate", id: "CN7" do
    upstream = secure(not_after: Time.now - 60)
    expect(fetch(linted(ca_file: authority.file) { upstream.url }).status).to eq(502)
  end

  it "asks nothing of the certificate with verify_ssl: false", id: "CN7" do
    upstream = secure(names: "DNS:other.test", not_after: Time.now - 60)
    expect(fetch(linted(verify_ssl: false) { upstream.url }).status).to eq(200)
  end

  it "reuses a TLS connection" do
    upstream = secure
    3.times { fetch(linted(ca_file: authority.file) { upstream.url }) }
    expect(upstream.connections.size).to eq(1)
  end

  it "takes a fresh connection for GET when a pooled one ends with close_notify", id: "CN3" do
    count = 0
    upstream = start_upstream(tls: authority.context) do |connection|
      next connection.serve { [200, {}, "fresh"] } if (count += 1) > 1

      connection.read_request
      connection.respond(200, {}, "first")
      connection.read_head # its keep-alive time is over as the next request comes
    end
    app = linted(ca_file: authority.file) { upstream.url }
    answers = Array.new(2) { fetch(app) }
    expect(answers.map { |answer| [answer.status, answer.body] })
      .to eq([[200, "first"], [200, "fresh"]])
  end

  it "does not send SNI and verification by Host", id: "FW1" do
    upstream = secure(names: "DNS:localhost")
    app = linted(ca_file: authority.file, preserve_host: true) do
      "https://localhost:#{upstream.port}/"
    end
    expect(fetch(app, "/", "HTTP_HOST" => "front.test").status).to eq(200)
    expect(upstream.wait_for_request["host"]).to eq("front.test")
  end

  it "takes an end without close_notify for a truncation", id: "ST3" do
    upstream = start_upstream(tls: authority.context) do |connection|
      connection.read_head
      connection.write("HTTP/1.1 200 OK\r\n\r\npart")
      connection.io.to_io.shutdown(:WR)
      connection.wait_for_end
    end
    expect { fetch(bare(ca_file: authority.file) { upstream.url }) }
      .to raise_error(Rack::StreamingProxy::BodyError)
  end

  it "streams over TLS as it comes" do
    step = EventQueue.new
    upstream = start_upstream(tls: authority.context) do |connection|
      connection.read_head
      connection.begin_chunked
      3.times do |number|
        connection.chunk("tick #{number}")
        step.pop
      end
      connection.end_chunked
    end
    _, _, body = bare(ca_file: authority.file) { upstream.url }.call(env_for)
    seen = []
    body.each { |chunk| step << (seen << chunk) }
    body.close
    expect(seen).to eq(["tick 0", "tick 1", "tick 2"])
  end
end
