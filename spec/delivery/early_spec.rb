# frozen_string_literal: true

RSpec.describe "delivery: :early" do
  include ServerCalls

  # By path: the upstream's answer, or its silence until `@answers` has one.
  def start_scripted_upstream
    @answers = Queue.new
    @ended = EventQueue.new("end of the upstream's connection")
    @upstream = start_upstream do |connection|
      loop { answer(connection, connection.read_request.head.target) }
    end
  end

  canned = {
    "/empty" => "HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n",
    "/unknown" => "HTTP/1.1 200 OK\r\n\r\nhello",
    "/cut" => "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
    "/nothing" => ""
  }.freeze

  define_method(:canned) { canned }

  def answer(connection, path)
    case path
    when "/held" then connection.write(@answers.pop)
    when "/silent" then @ended << connection.wait_for_end(within: 20)
    when *canned.keys then connection.write(canned[path]).close
    when "/fails" then connection.respond(503, {}, "busy")
    else connection.respond(200, { "Set-Cookie" => %w[a=1 b=2] }, "whole")
    end
  end

  # A proxy to any host and port, with a callable that raises for one host and waits at another.
  def start_server_with(settings = "timeout: 20", **options)
    allowed = <<~RUBY.tr("\n", " ")
      allow_destinations: lambda { |host, _address|
        raise "not allowed" if host == "127.0.0.2";
        sleep if host == "127.0.0.3";
        raise NotImplementedError if host == "127.0.0.4";
        Thread.exit if host == "127.0.0.5";
        true
      }
    RUBY
    to = '"http://" + (request.env["HTTP_X_TO"] || "127.0.0.1") + ":" + request.fullpath[1..] ' \
         'unless request.path.start_with?("/__")'
    start_puma(RackupText.proxy("delivery: :early, #{allowed}, #{settings}",
                                to:, above: "use Rack::Lint"), threads: 1, **options)
  end

  # @return [RawClient] that has asked for a path of the upstream
  def early(path, verb = "GET", headers = {}, body = nil, version: "1.1")
    client = connect(@server)
    client.request(verb, "/#{@upstream.port}#{path}", headers, body, version:)
    client
  end

  # The application's one thread answers it.
  def own_answer
    client = connect(@server)
    client.get("/__pid")
    client.read_response(within: 10)
  end

  # @return [Array(RawHead, String, Symbol)] head, body and end of a connection that ends
  def to_the_end(client)
    head = client.read_head(within: 10)
    [head, *client.read_to_end(within: 10)]
  end

  def await_log(pattern)
    @server.output.wait_for(pattern, within: 10)
  end

  once do
    start_scripted_upstream
    @server = start_server_with
  end

  after { expect(Deadline.new(10).poll { @server.stats[:exchanges].zero? }).to be_truthy }

  it "leaves the application's only thread free while the upstream is silent" do
    clients = Array.new(3) { early("/held") }
    clients.each { @upstream.wait_for_request }
    expect(own_answer.status).to eq(200)
    3.times { @answers << "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nlater" }
    clients.each do |client|
      head, body, ending = to_the_end(client)
      expect([head.status, head["connection"], body, ending]).to eq([200, "close", "later", :fin])
    end
    await_log(/Finishing proxy request to: GET \S+held \(status 200, 5 bytes/)
  end

  it "sends the upload first" do
    client = early("/held", "POST", {}, "upload" * 20_000)
    @upstream.wait_for_request
    expect(own_answer.status).to eq(200)
    @answers << "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    expect(to_the_end(client)[1]).to eq("ok")
    sent = @upstream.connections.flat_map(&:requests).map(&:body)
    expect(sent.include?("upload" * 20_000)).to be(true)
  end

  it "passes on all lines of a header" do
    head, body = to_the_end(early("/whole"))
    expect([head.all("set-cookie"), body]).to eq([%w[a=1 b=2], "whole"])
  end

  it "frames what has no length, for each version of HTTP as it can" do
    head, body, ending = to_the_end(early("/unknown"))
    expect([head["transfer-encoding"], body,
            ending]).to eq(["chunked", "5\r\nhello\r\n0\r\n\r\n", :fin])
    head, body, ending = to_the_end(early("/unknown", version: "1.0"))
    expect([head["transfer-encoding"], body, ending]).to eq([nil, "hello", :fin])
  end

  it "writes no body for HEAD, nor for a 204" do
    head, body, ending = to_the_end(early("/whole", "HEAD"))
    expect([head.status, head["content-length"], body, ending]).to eq([200, "5", "", :fin])
    head, body, ending = to_the_end(early("/empty"))
    expect([head.status, head["x-a"], head["transfer-encoding"], body, ending])
      .to eq([204, "1", nil, "", :fin])
  end

  it "shows that a body was cut short", id: "ST2" do
    head, body, = to_the_end(early("/cut"))
    expect([head["content-length"], body]).to eq(%w[9 hello])
    await_log(/Failed proxy request to: GET \S+cut \(status 200/)
  end

  it "answers what goes wrong before the head as ever" do
    head, body, ending = to_the_end(early("/nothing"))
    expect([head.status, head["content-length"], body, ending])
      .to eq([502, "15", "502 Bad Gateway", :fin])
    head, body = to_the_end(early("/nothing", "HEAD"))
    expect([head.status, body]).to eq([502, ""])
    await_log(/Failed proxy request to: HEAD \S+nothing \(status 502/)
  end

  it "answers 500 when a callable of the application's raises" do
    head, body = to_the_end(early("/whole", "GET", { "X-To" => "127.0.0.2" }))
    expect([head.status, body]).to eq([500, "500 Internal Server Error"])
    await_log(/Failed proxy request to: GET \S+whole \(status 500.*: RuntimeError/)
  end

  it "answers 500 for what is no StandardError, too, and leaves nothing behind" do
    head, = to_the_end(early("/whole", "GET", { "X-To" => "127.0.0.4" }))
    expect(head.status).to eq(500)
    await_log(/Failed proxy request to: GET \S+whole \(status 500.*: NotImplementedError/)
  end

  it "closes the connection of a client whose callable ends its thread" do
    before = @server.stats[:streams] # Callables that block keep theirs.
    client = early("/whole", "GET", { "X-To" => "127.0.0.5" })
    expect(client.read_to_end(within: 10)).to eq(["", :fin])
    await_log(/Finishing proxy request to: GET \S+whole \(status none.*given up/)
    expect(Deadline.new(10).poll { @server.stats[:streams] <= before }).to be_truthy
    expect(to_the_end(early("/whole"))[1]).to eq("whole")
  end

  it "answers others while callables block, though more than there are threads" do
    blocked = Array.new(5) { early("/whole", "GET", { "X-To" => "127.0.0.3" }) }
    expect(to_the_end(early("/whole"))[1]).to eq("whole")
    blocked.each(&:close)
  end

  describe "a client" do
    # @return [Symbol, nil] how the upstream's connection has ended
    def left
      before = @upstream.requests.size
      client = early("/silent")
      @upstream.wait_for_request until @upstream.requests.size > before
      yield client
      @ended.pop(within: 10)
    end

    it "that leaves before the head ends the exchange, which is logged", id: "ST4" do
      expect(left(&:close)).not_to be_nil
      await_log(/Failed proxy request to: GET \S+silent \(status 499/)
    end

    it "that ends its own direction has left" do
      client = nil
      expect(left { |one| (client = one).io.close_write }).not_to be_nil
      expect(client.read_to_end(within: 10)).to eq(["", :fin])
    end

    it "that sends more than its request gets its response whole" do
      client = connect(@server)
      request = "GET /#{@upstream.port}/whole HTTP/1.1\r\nHost: client.test\r\n\r\n"
      client.write(request * 3)
      expect(to_the_end(client)[1..]).to eq(["whole", :fin])
    end
  end

  it "answers where it cannot raise: 500 for a 5xx, and its status for an error" do
    @server = start_server_with("raise_on_5xx: true, raise_on_error: true")
    expect(to_the_end(early("/fails"))[0].status).to eq(500)
    expect(to_the_end(early("/nothing"))[0].status).to eq(502)
  end
end
