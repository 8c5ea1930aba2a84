# frozen_string_literal: true

module Rack
  module StreamingProxy
    module Server
      class WEBrick < Generic
        # A body for Rack 2's WEBrick, which gives the `rack.hijack` of the headers a pipe, and
        # takes the pipe's end for the body's, whole or not. So the hijack puts a body that is
        # called in the pipe's place: what that raises ends the connection.
        # @api private
        class Hijack
          # Middlewares outside may put another response in the place of some, and WEBrick would
          # seek in a body for a range: these are not streamed.
          #
          # @param answer [Array(Integer, Hash, Body)]
          # @param socket [IO] the client's
          # @param response [WEBrick::HTTPResponse]
          # @return [Array(Integer, Hash, #each)]
          def self.offer(answer, socket, response)
            status, headers, body = answer
            return answer if !(200..299).cover?(status) || headers.key?("Content-Range")

            framed = response.request_http_version >= "1.1" || headers.key?("Content-Length")
            hijack = new(body, Callable.new(body, framed ? nil : socket), response)
            [status, Headers.offering(hijack, headers), hijack]
          end

          # @param body [Body]
          # @param callable [Callable] the same
          # @param response [WEBrick::HTTPResponse]
          def initialize(body, callable, response)
            @body = body
            @callable = callable
            @response = response
          end

          # @return [Boolean] whether somebody has taken the body instead, or wants none
          def taken? = @taken

          # @yieldparam chunk [String]
          # @raise [BodyError]
          def each(&block)
            @taken = true
            @body.each(&block)
          end

          # Rack's handler closes the body before WEBrick calls it.
          def close
            return if @response.body.equal?(@callable)

            @taken = true
            @body.close
          end

          # @param pipe [IO] or what Rack::Lint makes of it
          def call(pipe)
            pipe.close
            @response.body.close
            @response.body = @callable
          end
        end
      end
    end
  end
end
