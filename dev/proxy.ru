# frozen_string_literal: true

# The gem in front of dev/streamer.ru:  UPSTREAM=http://127.0.0.1:4321 puma dev/proxy.ru
# Every request goes to the same path and query there.

$LOAD_PATH.unshift(File.expand_path("../lib", __dir__))
require "rack/streaming_proxy"

if ENV["DEMO_SABOTAGE"]
  require_relative "demo/sabotage"
  Demo::Sabotage.use_in(self, :proxy)
end

upstream = ENV.fetch("UPSTREAM", "http://127.0.0.1:4321")

use Rack::StreamingProxy::Proxy do |request|
  "#{upstream}#{request.fullpath}"
end

run ->(_env) { [404, { "content-type" => "text/plain" }, ["not proxied\n"]] }
