# frozen_string_literal: true

module Rack
  module StreamingProxy
    module Server
      class WEBrick < Generic
        # A body for Rack 2's WEBrick, which streams from a pipe that it gives to the `rack.hijack`
        # of the headers. That has to return before WEBrick reads, so a thread writes.
        # @api private
        class Hijack
          # Seconds between polls of whether WEBrick still reads.
          POLL_INTERVAL = 1
          # Seconds.
          GRACE = 0.5
          # Upon which Rack::ConditionalGet makes a 304.
          CONDITIONS = %w[HTTP_IF_NONE_MATCH HTTP_IF_MODIFIED_SINCE].freeze
          private_constant :POLL_INTERVAL, :GRACE, :CONDITIONS

          # Middlewares outside may put another response in the place of some, and WEBrick would
          # seek in the pipe for a range: these are not streamed.
          #
          # @param answer [Array(Integer, Hash, Body)]
          # @param env [Hash]
          # @param socket [IO] the client's
          # @return [Array(Integer, Hash, #each)]
          def self.offer(answer, env, socket)
            status, headers, body = answer
            return answer if !(200..299).cover?(status) || headers.key?("Content-Range") ||
                             CONDITIONS.any? { |condition| env.key?(condition) }

            hijack = new(body, socket)
            [status, Headers.offering(hijack, headers), hijack]
          end

          # @param body [Body]
          # @param socket [IO]
          def initialize(body, socket)
            @body = body
            @socket = socket
          end

          # @return [Boolean] whether somebody has taken the body instead, or wants none
          def taken? = @taken

          # @yieldparam chunk [String]
          # @raise [BodyError]
          def each(&block)
            @taken = true
            @body.each(&block)
          end

          # WEBrick closes the body before it reads from the pipe.
          def close
            return if @writer

            @taken = true
            @body.close
          end

          # @param pipe [IO] or what Rack::Lint makes of it, which cannot be waited for
          def call(pipe)
            pipe = pipe.instance_variable_get(:@io) || pipe
            @writer = Thread.new { write(pipe) }
          end

          private

          def write(pipe)
            @body.each { |chunk| put(pipe, chunk) }
          rescue BodyError
            abort_response
          rescue SystemCallError, IOError
            nil # WEBrick has gone.
          ensure
            @body.close
            pipe.close
          end

          # At the pipe's end WEBrick would write a last chunk, as if the body were whole. It gets
          # time to pass on what is in the pipe.
          def abort_response
            sleep(GRACE)
            # TLS would say that it ends here.
            return @socket.to_io.shutdown unless @socket.is_a?(::IO)

            @socket.setsockopt(::Socket::Option.linger(true, 0))
            @socket.close
          end

          # A WEBrick that could not write the head closes the socket, but not the pipe.
          def put(pipe, bytes)
            until bytes.empty?
              written = pipe.write_nonblock(bytes, exception: false)
              next bytes = bytes.byteslice(written..) if written.is_a?(Integer)

              raise Errno::EPIPE if !pipe.wait_writable(POLL_INTERVAL) && @socket.closed?
            end
          end
        end
      end
    end
  end
end
