# frozen_string_literal: true

module Rack
  module StreamingProxy
    class Session
      # The request's body on its way from the client to the engine: moved as far as neither has to
      # be waited for.
      # @api private
      class Upload
        # Bytes that are moved at once, of what has been read already.
        CHUNK = 256 * 1024
        private_constant :CHUNK

        # @return [Native::Exchange] what takes it; set once it is open
        attr_writer :exchange

        # @param input [Input]
        # @param server [Server::Generic]
        # @param upstream [String] for messages
        def initialize(input, server, upstream)
          @input = input
          @server = server
          @upstream = upstream
          @feeding = !input.kind.nil?
          @held = @feeding && server.expects_continue?
        end

        # @param most [Integer, nil] bytes
        # @raise [RequestBodyTooLarge] if it is known to be longer
        def limit_to(most)
          from_client { @input.limit_to(most) }
        end

        # @return [Boolean] whether no more of it is to go up
        def done? = !@feeding

        # Begins again at the first byte.
        def rewind
          from_client { @input.rewind }
          @feeding = true
        end

        # The upstream wants the body, for which the client waits to be asked.
        def proceed
          from_client { @server.continue } if @held
          @held = false
        end

        # After the head nobody can be asked any more: what the client sends all the same goes up.
        def answered
          @answered = true
          @held = false
        end

        # Moves one piece, if it can be moved without waiting.
        #
        # @return [Boolean] whether to look again before waiting
        # @raise [RequestBodyError, ClientGone]
        def feed
          return false if !@feeding || @held

          written = @exchange.writable
          @feeding = false if written == :stopped
          written == :taken && from_client { feed_piece }
        end

        private

        # @return [Boolean] false if nothing is here: the bell rings when something is
        def feed_piece
          size = @input.peeked? ? CHUNK : @server.input_size(@input.source)
          return false if size.nil? && @exchange.wake_when_readable(@server.client_socket.fileno)

          # Where nobody can tell when, the next byte is waited for.
          move(@input.read(size || 1))
          true
        end

        def move(chunk)
          @exchange.write(chunk) if chunk
          return unless @input.ended?

          @feeding = false
          @exchange.finish
        end

        # The upstream must not take what it got for the whole. Once the head is with the client, no
        # error but ours may reach the server, which would write it into the body.
        def from_client
          yield
        rescue Input::TooLong => e
          give_up(RequestBodyTooLarge, e.message)
        rescue StandardError => e
          raise unless @answered || e.is_a?(SystemCallError) || e.is_a?(IOError)

          reason = "the request body could not be read: #{e.class}: #{e.message}"
          error = @server.client_gone?(e) ? ClientGone : RequestBodyError
          give_up(error, reason.force_encoding("UTF-8").scrub("?"))
        end

        def give_up(error, reason)
          @feeding = false
          @exchange&.fail(reason)
          raise error.new(reason, upstream: @upstream, phase: @answered ? :body : :head)
        end
      end
    end
  end
end
