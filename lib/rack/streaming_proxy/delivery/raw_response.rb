# frozen_string_literal: true

module Rack
  module StreamingProxy
    class Delivery
      # Responses as they are written to a client's socket that the server has handed over.
      # @api private
      module RawResponse
        # @param status [Integer]
        # @param headers [Hash] in the shape of Rack's
        # @return [String] binary: the upstream's values and the application's differ in encoding
        def self.head(status, headers)
          lines = headers.flat_map do |name, values|
            values = values.b.split("\n") unless values.is_a?(Array)
            values.map { |value| "#{name.b}: #{value.b}\r\n" }
          end
          reason = ::Rack::Utils::HTTP_STATUS_CODES.fetch(status, "")
          "HTTP/1.1 #{status} #{reason}\r\n#{lines.join}\r\n".b
        end

        # Has the engine write a body; or writes it here, if the server has the client in something
        # that is no socket of the system's, or no descriptor is left for a duplicate.
        #
        # @param body [Body]
        # @param client [HijackedClient]
        # @param head [String] to be written first
        # @param framing [Symbol] `:length`, `:chunks` or `:end`
        # @return [Boolean] whether the engine has it, or all of it has been written
        def self.deliver(body, client, head, framing)
          return true if client.engine? && client.hand_over(body, head, framing)

          body.framing = framing
          client.write_body(framing) do
            client.write(head) unless head.empty?
            body.each { |chunk| client.write(chunk) }
          end
          true
        rescue BodyError, SystemCallError, IOError
          false # The body has told why it ended.
        ensure
          body.close
        end
      end
    end
  end
end
