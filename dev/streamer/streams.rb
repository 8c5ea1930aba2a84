# frozen_string_literal: true

require_relative "cut"
require_relative "paced"
require_relative "pattern"

module Streamer
  # The routes whose body is made while it is sent.
  module Streams
    ROUTES = {
      %r{\A/(\d{1,6})\z} => :lines,
      %r{\A/chunked/(\d{1,6})\z} => :chunked,
      %r{\A/slow_stream\z} => :slow_stream,
      %r{\A/sse\z} => :events,
      %r{\A/bytes/(\d{1,15}[kKmMgG]?)\z} => :bytes,
      %r{\A/cut\z} => :cut
    }.freeze

    private

    def lines(request, count)
      status, headers, body = chunked(request, count)
      length = (1..count.to_i).sum { |number| line(number, count).bytesize }
      [status, headers.merge("content-length" => length.to_s), body]
    end

    def chunked(request, count)
      paced(request, count.to_i, 0.05) { |number| line(number, count) }
    end

    def line(number, count)
      "line #{number} of #{count}\n"
    end

    def slow_stream(request)
      count = amount(request, "chunks", 6)
      paced(request, count, 0.4) do |number|
        format("chunk %<number>d of %<count>d sent at %<now>.6f\n", number:, count:,
                                                                    now: Paced.now)
      end
    end

    def events(request)
      count = amount(request, "events", 10)
      paced(request, count, 0.1, "text/event-stream", "cache-control" => "no-cache") do |number|
        data = format('{"event":%<number>d,"of":%<count>d,"sent_at":%<now>.6f}',
                      number:, count:, now: Paced.now)
        "id: #{number}\nevent: tick\ndata: #{data}\n\n"
      end
    end

    def bytes(_request, size)
      size = Pattern.size(size)
      headers = { "content-type" => "application/octet-stream", "content-length" => size.to_s }
      [200, headers, Pattern.new(size)]
    end

    def cut(request)
      headers = { "content-type" => "text/plain" }
      headers["content-length"] = "1000" unless request.GET["chunked"]
      [200, headers, Cut.new("x" * 500)]
    end

    def paced(request, count, every, type = "text/plain", headers = {}, &chunk)
      every = (Float(request.GET["every"], exception: false) || every).clamp(0.0, 10.0)
      body = Paced.new(count, every, request.env["puma.socket"], &chunk)
      [200, { "content-type" => type }.merge(headers), body]
    end

    def amount(request, name, default)
      (Integer(request.GET[name], 10, exception: false) || default).clamp(0, 1_000_000)
    end
  end
end
