# frozen_string_literal: true

module Rack
  module StreamingProxy
    class Fetch
      # The client of a server that hands no socket over: what is answered becomes Rack's triplet.
      # @api private
      class RackClient
        # @param session [Session]
        # @param server [Server::Generic]
        # @param instrumentation [Instrumentation]
        # @param on_error [#call] gets the error if what is rendered breaks off
        def initialize(session, server, instrumentation, on_error)
          @session = session
          @server = server
          @instrumentation = instrumentation
          @on_error = on_error
        end

        # What nobody has answered is not to look like an answer.
        #
        # @return [Array(Integer, Hash, #each)]
        def triplet = @triplet || ErrorResponse.plain(502)

        # @param answer [Array(Integer, Hash, #each)]
        def answer(answer)
          status, headers, body = answer
          @triplet = [status, RackHeaders.from(fields(headers), nil), body]
          close
        end

        # The server reads it, behind the callback.
        #
        # @param status [Integer]
        # @param headers [Hash]
        # @param pieces [Pieces]
        def stream(status, headers, pieces)
          head = [status, fields(headers), pieces.length, true]
          source = Rendered.new(pieces, @session)
          response = StreamingProxy::Response.new(head, source, @server, @instrumentation)
          response.on_error = @on_error
          @triplet = response.to_a
          close
        end

        # @return [Boolean] whether the answer has not ended yet
        def streams? = @triplet&.last.is_a?(Body)

        # @raise [Error]
        def write(_data)
          raise Error, "this server has handed no socket over: use render in place of write"
        end

        # Nothing more is taken.
        def close(**)
          @closed = true
        end

        # @return [Boolean]
        def closed? = @closed || false

        # @return [Boolean] the same: it gets its answer whole
        def begun? = closed?

        private

        def fields(headers)
          headers.flat_map do |name, values|
            Array(values).map { |value| [name.downcase, value] }
          end
        end
      end
    end
  end
end
