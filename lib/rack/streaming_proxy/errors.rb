# frozen_string_literal: true

module Rack
  module StreamingProxy
    # In every exception of this library: `rescue Rack::StreamingProxy::Failure` catches any.
    module Failure
      # @return [String, nil] `scheme://host:port` of the upstream
      attr_reader :upstream

      # @return [Symbol, nil] `:connect`, `:tls`, `:head`, `:body`, `:idle` or `:total`
      attr_reader :phase

      # @param message [String, nil]
      # @param upstream [String, nil] `scheme://host:port`
      # @param phase [Symbol, nil]
      def initialize(message = nil, upstream: nil, phase: nil)
        super(message)
        @upstream = upstream
        @phase = phase
      end

      # @return [Integer] the HTTP status that this failure means for the client
      def status = 500
    end

    # What the library raises outside a response's body.
    class Error < RuntimeError
      include Failure
    end

    # A defect of this library.
    class UnknownError < Error; end

    # A setting, or what the block returned, cannot be used. Always propagates.
    class ConfigurationError < Error; end

    # The upstream answered with a 5xx and `raise_on_5xx` is set.
    class HttpServerError < Error
      # @return [Integer] the upstream's status
      attr_reader :status

      # @return [String, nil] the URL, without credentials and query
      attr_reader :url

      # @param message [String, nil]
      # @param status [Integer]
      # @param url [String, nil]
      def initialize(message = nil, status: 500, url: nil, **facts)
        super(message, **facts)
        @status = status
        @url = url
      end
    end

    # A callback has read the body of the response, and has not answered; or reads it too late.
    class ResponseBodyAlreadyConsumedError < Error; end

    # The client's request cannot be sent as HTTP.
    class RequestError < Error
      # @return [Integer] 400
      def status = 400
    end

    # The request has passed this library more than `max_hops` times: a loop.
    class LoopDetected < RequestError
      # @return [Integer] 508
      def status = 508
    end

    # The client left before the response's head. Never leaves the library.
    # @api private
    class ClientGone < Error
      # What is logged for it; no client ever sees it.
      STATUS = 499

      # @return [Integer] 499
      def status = STATUS
    end

    # The process ended before the response, which is cut.
    # @api private
    class ShutdownError < Error
      # @return [Integer] 503
      def status = 503
    end

    # Something about the upstream: the exchange brought no response.
    class UpstreamError < Error
      # @return [Integer] 502
      def status = 502
    end

    # The upstream could not be reached: name not resolved, connection refused.
    class ConnectError < UpstreamError; end

    # The TLS handshake failed or the certificate was not accepted.
    class TlsError < UpstreamError; end

    # The upstream broke HTTP, or closed the connection where it may not.
    class ProtocolError < UpstreamError; end

    # The destination policy refuses the upstream's address.
    class DestinationRefused < UpstreamError; end

    # No connection to the upstream came free within `connection_wait`, or too many requests wait;
    # `max_streams` responses are delivered already; or no file descriptor is left.
    class Overloaded < UpstreamError
      # @return [Integer] 503
      def status = 503
    end

    # One of the timeouts passed; {Failure#phase} says which.
    class TimeoutError < UpstreamError
      # @return [Integer] 504
      def status = 504
    end

    # The client's body could not be read to its end.
    class RequestBodyError < UpstreamError
      # @return [Integer] 400
      def status = 400
    end

    # The client's body is longer than `max_request_body`.
    class RequestBodyTooLarge < RequestBodyError
      # @return [Integer] 413
      def status = 413
    end

    # A response was cut short. Raised in the body's `each`; servers take an EOFError for a broken
    # connection and end it, where any other error would be written into the body.
    class BodyError < EOFError
      include Failure

      # @return [Integer] the status that the failure would have had before the head
      attr_reader :status

      # @param message [String, nil]
      # @param status [Integer]
      def initialize(message = nil, status: 502, **facts)
        super(message, **facts)
        @status = status
      end
    end
  end
end
