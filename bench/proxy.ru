# frozen_string_literal: true

# What the benchmarks measure: everything goes to UPSTREAM, but for /fast, which the application
# answers, and /__stats; what /fetch/ begins goes as an action of Rails would with proxy_fetch.

$LOAD_PATH.unshift(File.expand_path("../lib", __dir__))
require "json"
require "rack/streaming_proxy"

use Rack::StreamingProxy::Proxy, delivery: ENV.fetch("DELIVERY").to_sym, send_timeout: 600,
                                 max_connections: 10_000, logger: Logger.new(nil) do |request|
  ENV.fetch("UPSTREAM") + request.fullpath unless
    request.path.match?(%r{\A/(fast\z|__stats\z|fetch/)})
end

fetch = lambda do |env|
  url = ENV.fetch("UPSTREAM") + env["PATH_INFO"].delete_prefix("/fetch")
  answer = Rack::StreamingProxy::Fetch.new(url, env, logger: Logger.new(nil),
                                                     max_connections: 10_000).call
  answer || [200, {}, []]
end

run lambda { |env|
  next fetch.call(env) if env["PATH_INFO"].start_with?("/fetch/")

  text = env["PATH_INFO"] == "/fast" ? "fast" : JSON.dump(Rack::StreamingProxy.stats)
  [200, { "content-type" => "text/plain", "content-length" => text.bytesize.to_s }, [text]]
}
