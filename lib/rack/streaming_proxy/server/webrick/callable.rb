# frozen_string_literal: true

module Rack
  module StreamingProxy
    module Server
      class WEBrick < Generic
        # A body that WEBrick calls with what writes to the client. Asked what it responds to, it
        # is no enumerable, for the server prefers `each` and collects it; a middleware that
        # transforms the body calls `each` without asking.
        # @api private
        class Callable
          # @param answer [Array(Integer, Hash, Body)]
          # @param socket [IO] the client's
          # @return [Array(Integer, Hash, Callable)]
          def self.offer(answer, socket)
            status, headers, body = answer
            [status, headers, new(body, headers.key?("content-length") ? nil : socket)]
          end

          # @param body [Body]
          # @param socket [IO, nil] where the connection's end is the body's
          def initialize(body, socket)
            @body = body
            @socket = socket
          end

          # @return [Boolean]
          def respond_to?(name, *) = name != :each && super

          # @yieldparam chunk [String]
          # @raise [BodyError]
          def each(&block) = @body.each(&block)

          # Writes the body; may block.
          #
          # @param stream [#write]
          # @raise [BodyError] upon which WEBrick closes the connection
          def call(stream)
            linger(true)
            @body.each { |chunk| stream.write(chunk) }
            linger(false)
          rescue BodyError
            # TLS would say that it ends here.
            @socket.to_io.shutdown unless @socket.nil? || @socket.is_a?(::IO)
            raise
          ensure
            close
          end

          def close = @body.close

          private

          # Whatever closes the connection in mid-body, the end of the process too, resets it then.
          def linger(reset)
            @socket&.to_io&.setsockopt(::Socket::Option.linger(reset, 0))
          end
        end
      end
    end
  end
end
