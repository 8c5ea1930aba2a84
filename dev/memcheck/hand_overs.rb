# frozen_string_literal: true

require "rack/mock"
require "socket"

# The kinds of exchanges.rb whose client's socket goes to the engine.
module HandOvers
  def deliveries
    delivered("/large").bytesize == 1_000_000 && delivered("/chunks") == "01234" &&
      handed_over("/cut", delivery: :hijack).read == "1\r\na\r\n" &&
      given_up("/hang", delivery: :hijack)
  end

  def early
    answer = handed_over("/chunks", delivery: :early).read
    answer.start_with?("HTTP/1.1 200 ") && answer.end_with?("4\r\n0\r\n\r\n") &&
      handed_over("/garbage", delivery: :early).read.start_with?("HTTP/1.1 502 ") &&
      %w[/silent /hang].all? { |path| given_up(path, delivery: :early) }
  end

  def fetches
    seen = Queue.new
    client = fetch("/chunks") do |config|
      config.on_headers { |response| response["x-set"] = "yes" }
      config.on_complete { |response| seen << response.code }
    end
    client.read.match?(/^x-set: yes\r\n.*\r\n0\r\n\r\n\z/mi) && seen.pop == "200" &&
      fetch("/echo") { |config| config.on_response { |_, to| to.render(text: "own") } }
        .read.end_with?("\r\n\r\nown")
  end

  def tunnels
    upgrade = { "HTTP_CONNECTION" => "Upgrade", "HTTP_UPGRADE" => "websocket" }
    client = handed_over("/tunnel", upgrade)
    client.write("x" * 100_000)
    client.close_write
    client.read.match?(%r{\AHTTP/1.1 101 .*\r\n\r\nglued(x{10000}){10}\z}m) && idle? &&
      given_up("/tunnel", upgrade)
  end

  private

  # @return [UNIXSocket] the client's, of a server that hands the other end over
  def handed_over(path, env = {}, **settings)
    client, env = offered(env)
    headers = call(path, env, **settings)[1]
    headers["rack.hijack"]&.call(env["rack.hijack"].call)
    client
  end

  def offered(env = {})
    server, client = UNIXSocket.pair
    [client, { "rack.hijack?" => true, "rack.hijack" => -> { server },
               "SERVER_PROTOCOL" => "HTTP/1.1" }.merge(env)]
  end

  # The body that the engine has written, which the connection's end ends.
  def delivered(path)
    handed_over(path, { "SERVER_PROTOCOL" => "HTTP/1.0" }, delivery: :hijack).read
  end

  def fetch(path, &configure)
    client, env = offered(Rack::MockRequest.env_for("/"))
    Rack::StreamingProxy::Fetch.new(@upstream + path, env.merge("SERVER_PROTOCOL" => "HTTP/1.1"),
                                    logger: Logger.new(nil), &configure).call
    client
  end

  def given_up(path, env = {}, **settings)
    handed_over(path, env, **settings).close
    idle?
  end

  # Waits until all is told of what has left Ruby.
  def idle?
    sleep 0.01 until Rack::StreamingProxy.stats.values_at(:exchanges, :streams).sum.zero?
    true
  end
end
