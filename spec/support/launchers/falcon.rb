# frozen_string_literal: true

# Falcon's core as Falcon starts it: the config.ru of the first argument behind protocol-rack's
# adapter in async-http's server, on the port of the second. It speaks HTTP/1 and, to clients that
# know so, HTTP/2.

require "async"
require "async/http/endpoint"
require "async/http/server"
require "protocol/rack"

rackup, port = ARGV
application = Protocol::Rack::Adapter.parse_file(rackup)
application = application.first if application.is_a?(Array)
endpoint = Async::HTTP::Endpoint.parse("http://127.0.0.1:#{port}")

Sync do |task|
  bound = endpoint.bound
  server = Async::HTTP::Server.for(bound, protocol: endpoint.protocol, scheme: "http",
                                   &Protocol::Rack::Adapter.new(application).method(:call))
  listening = bound.sockets.first.to_io.local_address.ip_port
  serving = task.async { server.run }
  # As async-container has it.
  %w[INT TERM].each { |signal| Signal.trap(signal) { Thread.main.raise(Interrupt) } }
  puts "Listening on 127.0.0.1:#{listening}"
  $stdout.flush
  serving.wait
rescue Interrupt
  nil # async stops all tasks
end
