# frozen_string_literal: true

# Applications that are chained with this library, in a line and in a circle; real Pumas.
RSpec.describe Rack::StreamingProxy::Proxy, "and loops" do
  # Where the next request goes is said by the one that asks: its X-Way names the ports to come.
  rackup = <<~'RUBY'
    require "logger"
    require "rack/streaming_proxy"
    $stdout.sync = true
    use Rack::StreamingProxy::Proxy, logger: Logger.new($stdout) do |request|
      first, *rest = request.get_header("HTTP_X_WAY").split
      rest = [*rest, first] if request.path == "/circle"
      Rack::StreamingProxy::Target.new("http://127.0.0.1:#{first}#{request.fullpath}",
                                       headers: { "X-Way" => rest.join(" ") })
    end
    run proc { [404, {}, []] }
  RUBY

  once { @servers = Array.new(2) { start_puma(rackup, threads: 16) } }

  let(:upstream) { serving { |request| [200, {}, request["via"]] } }

  def ask(server, path, way)
    client = connect(server)
    client.get(path, { "X-Way" => way.join(" ") })
    client.read_response
  end

  it "let two applications stand one behind the other", id: "FW7" do
    first, second = @servers
    answer = ask(first, "/line", [second.port, upstream.port])
    expect([answer.status, answer.body])
      .to eq([200, "1.1 rack-streaming-proxy, 1.1 rack-streaming-proxy"])
  end

  it "let a request pass as often as max_hops allows", id: "FW7" do
    first, second = @servers
    answer = ask(first, "/line", [second.port, first.port] * 2 + [second.port, upstream.port])
    expect([answer.status, answer.body.scan("rack-streaming-proxy").size]).to eq([200, 6])
    expect(ask(first, "/line", [second.port, first.port] * 3 + [upstream.port]).status).to eq(508)
  end

  it "of an application to itself end with 508 after six passages", id: "FW7" do
    server = start_puma(rackup, threads: 16)
    expect(ask(server, "/circle", [server.port]).status).to eq(508)
    expect(passages(server)).to eq(7)
  end

  it "of two applications to each other end with 508", id: "FW7" do
    first, second = Array.new(2) { start_puma(rackup, threads: 16) }
    expect(ask(first, "/circle", [second.port, first.port]).status).to eq(508)
    expect(passages(first) + passages(second)).to eq(7)
  end

  # Requests that a server took in: the last one is not passed on.
  def passages(server)
    server.output.wait_for(/(?:Finishing|Failed).*status 508/)
    server.output.to_s.scan("Starting proxy request").size
  end
end
