# frozen_string_literal: true

# What the benchmarks measure: everything goes to UPSTREAM, but for /fast, which the application
# answers, and /__stats.

$LOAD_PATH.unshift(File.expand_path("../lib", __dir__))
require "json"
require "rack/streaming_proxy"

use Rack::StreamingProxy::Proxy, delivery: ENV.fetch("DELIVERY").to_sym, send_timeout: 600,
                                 max_connections: 10_000, logger: Logger.new(nil) do |request|
  ENV.fetch("UPSTREAM") + request.fullpath unless ["/fast", "/__stats"].include?(request.path)
end

run lambda { |env|
  text = env["PATH_INFO"] == "/fast" ? "fast" : JSON.dump(Rack::StreamingProxy.stats)
  [200, { "content-type" => "text/plain", "content-length" => text.bytesize.to_s }, [text]]
}
