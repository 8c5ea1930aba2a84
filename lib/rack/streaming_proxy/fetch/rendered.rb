# frozen_string_literal: true

module Rack
  module StreamingProxy
    class Fetch
      # In a session's place for a response that is rendered of an IO and written by the server:
      # {Body} reads from it.
      # @api private
      class Rendered
        # @param pieces [Pieces]
        # @param session [Session] the exchange's, which has ended, to be told of
        def initialize(pieces, session)
          @pieces = pieces.keep
          @session = session
        end

        # Some bytes, as soon as there are any; may block.
        #
        # @return [String, nil] nil at the end
        # @raise [BodyError]
        def read
          @pieces.read
        rescue Error => e
          raise BodyError, e.message
        rescue StandardError, ScriptError => e
          # What an exception of the application says is its own matter: it is the cause.
          raise BodyError, "what was rendered cannot be read: #{e.class}"
        end

        # @return [Array] of the exchange
        def report = @session.report

        # Idempotent.
        #
        # @return [Boolean] as {Session#close}
        def close
          @pieces.close
          @session.close
        end
      end
    end
  end
end
