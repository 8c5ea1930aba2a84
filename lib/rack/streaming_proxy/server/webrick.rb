# frozen_string_literal: true

require_relative "../rack_headers"
require_relative "webrick/callable"
require_relative "webrick/upload"
unless Rack::StreamingProxy::RackHeaders::RACK3
  require_relative "webrick/hijack"
  require_relative "webrick/headers"
end

module Rack
  module StreamingProxy
    module Server
      # WEBrick's handlers (rackup's, and Rack 2's own) collect what `each` yields. A body that is
      # called streams; Rack 2 has no such bodies, but a hijack that can give WEBrick one. It makes
      # every request target absolute, and believes X-Forwarded-Host for it: its REQUEST_URI does
      # not tell what the client wrote.
      # @api private
      class WEBrick < Generic
        # @param env [Hash]
        # @return [Boolean] whether this server gave it
        def self.serves?(env) = env["SERVER_SOFTWARE"].to_s.start_with?("WEBrick")

        # @return [Boolean]
        def self.rewrites_target? = true

        # @param env [Hash]
        def initialize(env)
          super
          # WEBrick::GenericServer#start_thread keeps it there for its callbacks; nil where the
          # application is called by another thread.
          @socket = Thread.current[:WEBrickSocket]
        end

        # @return [#read, nil]
        def input
          request&.extend(Upload) if RackHeaders::RACK3
          super
        end

        # @return [IO, nil] the client's socket, under TLS too
        def client_socket = @socket&.to_io

        # WEBrick's hijack is a way to stream, and used for it.
        #
        # @return [Boolean]
        def partial_hijack? = false

        # @return [Boolean]
        def full_hijack? = false

        # A middleware that iterates the body would collect it.
        def prepare(_length) = decline_encoding

        # A body that is called is not closed; if its client leaves before the head is written, it
        # is not even called.
        def may_skip_close? = !@socket.nil?

        # The end of the request is not known: neither WEBrick nor we read on to find it.
        def close_connection
          request&.instance_variable_set(:@keep_alive, false)
        end

        # WEBrick would read the rest of the upload before it sends an early answer, and stumbles
        # over where we have stopped.
        def finish(answer, input)
          close_connection unless input.ended?
          return answer unless @socket && answer.last.is_a?(Body)

          RackHeaders::RACK3 ? Callable.offer(answer, @socket) : hijacked(answer)
        end

        private

        # @return [WEBrick::HTTPRequest, nil] nil where a middleware has put its own input there
        def request = unwrapped(@env["rack.input"]).instance_variable_get(:@request)

        def hijacked(answer)
          response = response_of(@env["rack.hijack"]) unless conditional?
          response ? Hijack.offer(answer, @socket, response) : answer
        end

        # A local variable of the method in which Rack 2's handler makes `rack.hijack`, around which
        # Rack::Lint puts another.
        #
        # @return [WEBrick::HTTPResponse, nil] nil where another middleware has put its own there
        def response_of(hijack)
          scope = hijack.binding
          return scope.local_variable_get(:res) if scope.local_variable_defined?(:res)

          response_of(scope.local_variable_get(:original_hijack))
        rescue ArgumentError, NameError
          nil
        end
      end
    end
  end
end
