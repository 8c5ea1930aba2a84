# frozen_string_literal: true

module Rack
  module StreamingProxy
    module Testing
      # What a stub raises instead of answering, as the engine tells of the same failure.
      # @api private
      module Failures
        # Of each class: kind, phase, what happened, error number.
        FACTS = {
          ConnectError =>
            [:connect, :connect, "refused the connection", Errno::ECONNREFUSED::Errno],
          TlsError => [:tls, :tls, "broke the TLS handshake off", nil],
          TimeoutError => [:timeout, :head, "did not answer in time", nil],
          ProtocolError => [:protocol, :head, "closed the connection without an answer", nil],
          DestinationRefused => [:destination, :connect, "is refused (allow_destinations)", nil],
          Overloaded => [:overloaded, :connect, "had no connection free", nil]
        }.freeze
        private_constant :FACTS

        # @param error [UpstreamError]
        # @param origin [String] of the upstream
        # @return [Array, nil] the facts; nil for an error that stands for itself
        def self.facts(error, origin)
          kind, phase, what, errno = FACTS[error.class]
          return unless kind

          told = error.message == error.class.name ? "upstream #{origin} #{what}" : error.message
          [:failed, kind, error.phase || phase, error.upstream || origin, told, errno]
        end
      end
    end
  end
end
