# frozen_string_literal: true

# The upstream that the demo and the specs proxy to:  puma -b tcp://127.0.0.1:4321 dev/streamer.ru
#
#   /                this list
#   /N               N lines with a Content-Length, 0.05 s apart
#   /chunked/N       the same lines without a Content-Length
#   /slow_stream     6 chunks, 0.4 s apart, each with the time it was sent (?chunks=N)
#   /sse             10 server-sent events, 0.1 s apart, each with its time (?events=N)
#   /bytes/SIZE      SIZE bytes (1048576, 64k, 10M, 1G) whose content is defined in pattern.rb
#   /echo            the request's body, sent back while it is read
#   /upload          the size and the SHA-256 of the request's body
#   /status/CODE     an answer with that status (200 to 599)
#   /flaky/N         503 for the first N requests, 200 after that
#   /headers         the request's header fields, one "Name: value" a line
#   /env             the request's Rack environment as YAML, with a form's body
#   /cut             announces 1000 bytes, sends 500 and closes (?chunked=1: no last chunk)
#   /cookies         three Set-Cookie fields; the body shows the Cookie that came
#   /redirect        302 to / (?to=/elsewhere)
#
# Every paced route takes ?every=SECONDS. Times are those of CLOCK_MONOTONIC, which all processes
# of one machine share. /flaky counts in the process, for each path with its query: an unused query
# starts afresh, and on a Puma cluster or with several Unicorn workers each process counts its own.
# Unicorn ends a request after its `timeout` (60 s unless set), however well the stream runs.

require_relative "streamer/app"

if ENV["DEMO_SABOTAGE"]
  require_relative "demo/sabotage"
  Demo::Sabotage.use_in(self, :upstream)
end

run Streamer::App.new(File.read(__FILE__)[/^#   .*(?:\n#   .*)*/].gsub(/^#   /, "") << "\n")
