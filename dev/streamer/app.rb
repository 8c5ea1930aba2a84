# frozen_string_literal: true

require "rack"
require_relative "answers"
require_relative "framing"
require_relative "streams"

module Streamer
  # The Rack application of dev/streamer.ru: finds the route and fits its answer to the server that
  # runs it. It buffers nothing, so what a client sees late was not held here.
  class App
    include Streams
    include Answers

    ROUTES = Streams::ROUTES.merge(Answers::ROUTES).freeze

    # @param description [String] what `/` answers
    def initialize(description)
      @description = description
      @failures = Failures.new
    end

    # @param env [Hash] the Rack environment
    # @return [Array] a Rack response, valid under Rack 2.2 and 3
    def call(env)
      # Unicorn asks the application whether the client may send its body.
      return [100, {}, []] if Framing.left_to_us?(env) && env["HTTP_EXPECT"] =~ /100-continue/i

      Framing.apply(env, *answer(Rack::Request.new(env)))
    end

    private

    def answer(request)
      ROUTES.each do |pattern, route|
        match = pattern.match(request.path_info)
        return send(route, request, *match.captures) if match
      end
      text(404, "no such route: #{request.path_info}\n\n#{@description}")
    end

    def text(status, body, headers = {})
      own = { "content-type" => "text/plain; charset=utf-8",
              "content-length" => body.bytesize.to_s }
      [status, own.merge(headers), [body]]
    end
  end
end
