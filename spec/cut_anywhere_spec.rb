# frozen_string_literal: true

# The engine's tests cut at every byte; here a sample of every kind goes through real servers.
RSpec.describe "A response cut at any boundary" do
  responses = {
    "with a length" => CannedResponse.new(
      [[:head, "in the head", "HTTP/1.1 200 OK\r\nContent-Le"],
       [:head, "before the head's last byte", "ngth: 3000\r\n\r"],
       [:head, "after the head", "\n"],
       [:data, "in the data", "d" * 1500],
       [:data, "one byte before the length's end", "d" * 1499],
       [:data, "after the whole", "e"]]
    ),
    "in chunks" => CannedResponse.new(
      [[:head, "in the head", "HTTP/1.1 200 OK\r\nTransfer-Enc"],
       [:head, "after the head", "oding: chunked\r\n\r\n"],
       [:frame, "in a chunk's size", "5"],
       [:frame, "after a chunk's size", "dc\r\n"],
       [:data, "in the data", "d" * 1000],
       [:data, "after the data", "d" * 500],
       [:frame, "in a chunk's end", "\r"],
       [:frame, "after a chunk", "\n"],
       [:frame, "in a second chunk's size", "00"],
       [:frame, "after a second chunk's size", "1\r\n"],
       [:data, "after its data", "e"],
       [:frame, "in the last chunk", "\r\n0"],
       [:frame, "after the last chunk's size", "\r\n"],
       [:frame, "in the trailer", "X-Sum: 1"],
       [:frame, "before the trailer's last byte", "\r\n\r"],
       [:frame, "after the whole", "\n"]]
    ),
    "that lasts until the connection's end" => CannedResponse.new(
      [[:head, "in the head", "HTTP/1.1 200 OK\r\nX"],
       [:head, "after the head", ": y\r\n\r\n"],
       [:data, "in the data", "d" * 1500],
       [:data, "after the data", "d" * 1500]],
      ending: :connection
    )
  }
  endings = { "by FIN" => :close, "by reset" => :reset, "by a stall" => :stall }
  cut = Struct.new(:response, :boundary, :ending, :version)

  # Only what stalls has short clocks, for on a busy machine others may be late.
  to_upstream = <<~RUBY
    clocks = request.path.start_with?("/cut/stall") ? { timeout: 0.5, idle_timeout: 0.5 } : {}
    next if request.path.start_with?("/__")

    Rack::StreamingProxy::Target.new(ENV.fetch("UPSTREAM") + request.fullpath, **clocks)
  RUBY

  # Serves "/cut/<ending>/<number>" as that cut says, and any other path with itself as the body.
  def serve_cuts(connection)
    loop do
      path = connection.read_head.target
      number = path[%r{\A/cut/\w+/(\d+)\z}, 1] or next connection.respond(200, {}, path)
      planned = @cuts.fetch(number.to_i)
      connection.write(planned.response.bytes_until(planned.boundary))
      next if planned.ending == :stall && planned.response.serves_on_after?(planned.boundary)

      break end_as_planned(connection, planned)
    end
  end

  def end_as_planned(connection, planned)
    return connection.public_send(planned.ending) unless planned.ending == :stall

    before = connection.received
    connection.wait_for_end(within: 20)
    @spoiled << planned if connection.received > before
  end

  # @return [Array] status (nil when the connection ended before a head), body, completeness
  def answer_to(planned)
    @cuts << planned
    client = RawClient.new(@server.address)
    number = @cuts.index { |one| one.equal?(planned) }
    client.get("/cut/#{planned.ending}/#{number}", version: planned.version)
    response = client.read_response(within: 30)
    [response.status, response.body, response.complete?]
  rescue RawSocket::Ended
    [nil, "", false]
  ensure
    client&.close
  end

  def fault_of(planned, (status, body, complete))
    unless planned.response.head_until?(planned.boundary)
      wanted = planned.ending == :stall ? 504 : 502
      return status == wanted ? nil : "status #{status}, not #{wanted}"
    end
    return "status #{status}" unless [200, nil].include?(status)

    fault_of_body(planned, body, complete)
  end

  def fault_of_body(planned, body, complete)
    here = planned.response.body_until(planned.boundary)
    whole = planned.response.whole_until?(planned.boundary, planned.ending)
    return "seems #{complete ? "complete" : "cut"}" if complete != whole

    "#{body.bytesize} bytes" unless whole ? body == here : here.start_with?(body)
  end

  # What the next request gets must be its own answer, whatever was left on a connection.
  def fault_after(planned)
    client = RawClient.new(@server.address)
    path = "/clean/#{planned.object_id}"
    client.get(path)
    body = client.read_response(within: 30).body
    "the next request got #{body.inspect}" unless body == path
  ensure
    client&.close
  end

  def faults_of(planned)
    [fault_of(planned, answer_to(planned)), fault_after(planned)].compact.map do |fault|
      "#{planned.boundary}, HTTP/#{planned.version}: #{fault}"
    end
  end

  # What the server holds beside the upstream's idle connections.
  def held(server)
    stats = server.stats
    busy = stats[:connections] - stats[:idle_connections]
    [stats[:exchanges], busy, server.fds - stats[:connections]]
  end

  { "Puma" => [:puma, { threads: 8 }], "Unicorn" => [:unicorn, {}] }.each do |name, (kind, options)|
    context "on #{name}" do
      once do
        @cuts = []
        @spoiled = []
        @upstream = start_upstream { |connection| serve_cuts(connection) }
        @server = start_server(kind, RackupText.proxy(to: to_upstream),
                               env: { "UPSTREAM" => @upstream.url("") }, **options)
        Array.new(16) { in_thread { fault_after(name) } }.each(&:join)
        @before = Deadline.new(10).poll { held(@server).then { |now| now if now[0, 2] == [0, 0] } }
      end

      responses.each do |shape, response|
        endings.each do |ended, ending|
          it "is whole or seen to be cut: #{shape}, cut #{ended}", id: %w[ST2 ST3 CN2] do
            cuts = response.boundaries.product(%w[1.1 1.0]).map do |boundary, version|
              cut.new(response, boundary, ending, version)
            end
            faults = cuts.map { |planned| in_thread { faults_of(planned) } }.flat_map(&:value)
            expect(faults).to eq([])
            expect(@spoiled).to eq([])
            settled = Deadline.new(10).poll do
              now = held(@server)
              now[0, 2] == [0, 0] && now[2] <= @before[2]
            end
            expect(settled).to be(true), "#{held(@server)} held, #{@before} before"
          end
        end
      end
    end
  end
end
