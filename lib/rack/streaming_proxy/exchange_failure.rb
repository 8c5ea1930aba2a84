# frozen_string_literal: true

module Rack
  module StreamingProxy
    # From the facts of a failed exchange, as the engine tells them, to an exception with its cause.
    # @api private
    module ExchangeFailure
      CLASSES = {
        resolve: ConnectError, connect: ConnectError, tls: TlsError, timeout: TimeoutError,
        protocol: ProtocolError, destination: DestinationRefused, overloaded: Overloaded,
        request_head: RequestError, loop: LoopDetected, request_body: RequestBodyError,
        client_gone: ClientGone, shutdown: ShutdownError
      }.freeze
      private_constant :CLASSES

      # @param facts [Array] `[:failed, kind, phase, upstream, message, errno]`
      # @raise [Error]
      def self.raise_from(facts)
        _failed, kind, phase, upstream, message, errno = facts
        cause = cause_of(kind, message, errno)
        message = "#{message} (#{cause.class.name.delete_prefix("Errno::")})" if errno
        raise CLASSES.fetch(kind, UnknownError).new(message, upstream:, phase:), cause:
      end

      # @param status [Integer] the upstream's
      # @param target [Target]
      # @raise [HttpServerError] for a 5xx
      def self.refuse_5xx(status, target)
        return unless (500..599).cover?(status)

        facts = { status:, url: target.to_s, upstream: target.origin, phase: :head }
        message = "upstream #{target.origin} answered #{status} (#{target})"
        raise HttpServerError.new(message, **facts)
      end

      # @param error [Failure]
      # @raise [BodyError] which tells the same in mid-body
      def self.raise_in_body(error)
        facts = { upstream: error.upstream, phase: error.phase, status: error.status }
        raise BodyError.new(error.message, **facts), cause: error
      end

      # @param facts [Array] as for {raise_from}
      # @return [BodyError] which tells them of a body
      def self.in_body(facts)
        raise_from(facts)
      rescue Error => e
        begin
          raise_in_body(e)
        rescue BodyError => e
          e
        end
      end

      # @param counts [Hash{Symbol => Integer}] how often exchanges failed, by kind; `cut` for those
      #   that failed in mid-body
      # @return [Hash{String => Integer}] the same by the name of the exception's class
      def self.count_by_class(counts)
        counts.each_with_object({}) do |(kind, times), sums|
          next if times.zero?

          name = (kind == :cut ? BodyError : CLASSES.fetch(kind, UnknownError)).name
          sums[name] = sums.fetch(name, 0) + times
        end
      end

      def self.cause_of(kind, message, errno)
        return SystemCallError.new(nil, errno) if errno

        case kind
        when :resolve then SocketError.new(message)
        when :timeout then Errno::ETIMEDOUT.new
        when :protocol then EOFError.new(message)
        end
      end
      private_class_method :cause_of
    end
  end
end
