# frozen_string_literal: true

RSpec.describe "A client that has gone" do
  # Tells when the proxy ended the connection, and what had been asked for.
  def start_watching_upstream
    @ended = EventQueue.new("end of the upstream's connection")
    @ready = EventQueue.new("request at the upstream")
    @upstream = start_upstream do |connection|
      act = connection.read_head.target[/\w+/]
      send(:"act_#{act}", connection)
      @ready << true
      @ended << [connection.wait_for_end(within: 20), Deadline.now]
    end
  end

  # Says nothing at all.
  def act_silent(_connection); end

  # Says something, then nothing more.
  def act_begun(connection)
    connection.begin_chunked
    connection.chunk("x")
  end

  # Takes some of an upload, and waits for more.
  def act_uploading(connection)
    connection.read_some
  end

  # @return [Float] seconds from the client's leaving to the upstream's end
  def seconds_until_ended
    left = Deadline.now
    yield
    how, moment = @ended.pop
    expect(how).not_to be_nil
    moment - left
  end

  { "Puma" => { kind: :puma }, "Unicorn" => { kind: :unicorn },
    "Puma on a Unix socket" => { kind: :puma, unix: true } }.each do |name, how|
    context "on #{name}" do
      once do
        start_watching_upstream
        @server = start_server(how[:kind], RackupText.proxy,
                               env: { "UPSTREAM" => @upstream.url("") }, **how.slice(:unix))
      end

      it "is noticed also behind pipelined bytes", id: "ST4" do
        client = connect(@server)
        client.get("/silent")
        @ready.pop
        client.write("GET /next HTTP/1.1\r\nHost: x\r\n\r\n")
        expect(seconds_until_ended { client.close }).to be < 5
      end

      it "is noticed after a long silence, too", id: "ST4" do
        client = connect(@server)
        client.get("/begun")
        @ready.pop
        client.read_head
        sleep 1
        expect(seconds_until_ended { client.close }).to be < 5
      end

      it "is no error of the application, and one line in the log" do
        client = connect(@server)
        client.get("/silent/logged")
        @ready.pop
        client.close
        @ended.pop
        line = @server.output.wait_for(/^.*logged.*499.*$|^.*499.*logged.*$/i)[0]
        expect(line).to include("[Rack::StreamingProxy] ")
        expect(@server.output.to_s).not_to match(/Traceback|Error reached|app error/)
      end

      it "leaves the server serving" do
        client = connect(@server)
        client.get("/silent")
        @ready.pop
        seconds_until_ended { client.close }
        again = connect(@server)
        again.get("/__pid")
        expect(again.read_response.status).to eq(200)
        expect(@server.stats).to include(exchanges: 0)
      end
    end
  end

  context "on Unicorn, in the middle of an upload" do
    once do
      start_watching_upstream
      @server = start_unicorn(RackupText.proxy, env: { "UPSTREAM" => @upstream.url("") })
    end

    framings = { "with a length" => [{ "Content-Length" => "100000" }, "u" * 5000],
                 "in chunks" => [{ "Transfer-Encoding" => "chunked" },
                                 ChunkedBody.encode("u" * 5000, finish: false)] }
    %i[close reset].product(framings.to_a).each do |leaving, (framing, (headers, begun))|
      it "is one line in the log and ends the upstream's connection (#{leaving}, #{framing})",
         id: "ST4" do
        path = "/uploading/#{leaving}/#{framing.tr(" ", "-")}"
        client = connect(@server)
        client.request("POST", path, headers)
        client.write(begun)
        @ready.pop
        expect(seconds_until_ended { client.public_send(leaving) }).to be < 5
        @server.output.wait_for(/Failed proxy request to: POST \S+#{path} \(status 499/)
        lines = @server.output.lines.grep(/#{path}/).drop(1) # the first tells of the start
        expect(lines).to match([/\bINFO\b.*Failed proxy request/])
        expect(@server.output.to_s).not_to match(/\bERROR\b|app error|Traceback/)
      end
    end
  end

  it "does not withhold the server's own end of the connection" do
    upstream = start_upstream do |connection|
      connection.read_head
      sleep 0.5 # long enough for the watch over the client to begin
      connection.respond(200, {}, "done")
      connection.wait_for_end
    end
    server = start_puma(RackupText.proxy, env: { "UPSTREAM" => upstream.url("") })
    client = connect(server)
    client.get("/", { "Connection" => "close" })
    expect(elapsed { client.read_to_end }).to be < 5
    expect(client.ending).to eq(:fin)
  end

  it "that only waits is left alone" do
    upstream = start_upstream do |connection|
      connection.read_head
      sleep 1.5
      connection.respond(200, {}, "late")
    end
    server = start_puma(RackupText.proxy, env: { "UPSTREAM" => upstream.url("") })
    client = connect(server)
    client.get
    expect(client.read_response.body).to eq("late")
  end
end
