# frozen_string_literal: true

module Rack
  module StreamingProxy
    # The client's request body: how long it is said to be, and its bytes as they can be read.
    # Never reads past its Content-Length.
    # @api private
    class Input
      PEEK = 16 * 1024
      private_constant :PEEK

      # The body is longer than `max_request_body`.
      class TooLong < StandardError; end

      # @return [Integer, Symbol, nil] bytes, `:chunked` for a body of unknown length, nil for none
      attr_reader :kind

      # @return [#read] what the server gave
      attr_reader :source

      # @param env [Hash]
      # @param server [Server::Generic]
      # @raise [RequestError] if it is not clear how long the body is
      def initialize(env, server)
        @server = server
        @source = server.input
        @rewindable = rewind_source
        @source = form_of(env) || @source unless @rewindable
        @kind = length_of(env)
        restart
      end

      # @return [Boolean] whether {#rewind} will do
      def rewindable? = @rewindable

      # Who reads it has no time for a {#rewind}: the request is over before its answer.
      def read_once
        @rewindable = false
      end

      # @return [Boolean] whether the next bytes are here already
      def peeked? = !@peeked.nil?

      # Refuses more than so many bytes, at once if the length is known.
      #
      # @param most [Integer, nil]
      # @raise [TooLong] here, or when the byte too many is read
      def limit_to(most)
        @most = most
        check(@kind) if @kind.is_a?(Integer)
      end

      # The next bytes; may block where the server's input does.
      #
      # @param size [Integer] bytes to read at most
      # @return [String, nil] nil at the end
      # @raise [TooLong]
      def read(size)
        return if @ended

        chunk = bounded(@peeked || read_source([size, @left || size].min))
        @peeked = nil
        @ended = chunk.nil? || @left&.zero?
        chunk
      end

      # @return [Boolean] whether all has been read
      def ended? = @ended

      # Begins again at the first byte.
      #
      # @raise [SystemCallError, IOError] if the server's input cannot
      def rewind
        @source.rewind
        @peeked = nil
        restart
      end

      private

      def restart
        @left = @kind if @kind.is_a?(Integer)
        @ended = @kind.nil?
        @taken = 0
      end

      def check(bytes)
        return unless @most && bytes > @most

        raise TooLong, "the request body has more than #{@most} bytes (max_request_body)"
      end

      # Rack::MethodOverride may have read it before us; Rack 3 does not rewind. protocol-rack's
      # returns false where it cannot.
      def rewind_source
        @source.respond_to?(:rewind) && @source.rewind != false
      rescue Errno::ESPIPE, IOError
        false
      end

      # A form that Rack has read from an input that cannot be rewound, as Rack has kept it.
      def form_of(env)
        form = env["rack.request.form_vars"] or return
        length = env["CONTENT_LENGTH"].to_s
        return unless length.empty? || length == form.bytesize.to_s

        @rewindable = true
        ::StringIO.new(form)
      end

      # RFC 9112 section 6.3; servers let more through than may be believed.
      def length_of(env)
        length = env["CONTENT_LENGTH"].to_s
        coding = env["HTTP_TRANSFER_ENCODING"]
        return chunked(coding, length) if coding
        return undeclared if length.empty?

        raise RequestError, "the request's Content-Length is malformed" unless
          length.match?(/\A\d{1,18}\z/)

        length.to_i.nonzero?
      end

      def undeclared
        kind = @server.undeclared_body
        kind == :maybe ? (:chunked if peek) : kind
      end

      def chunked(coding, length)
        raise RequestError, "the request has both Transfer-Encoding and Content-Length" unless
          length.empty?
        raise RequestError, "the request's Transfer-Encoding is not exactly \"chunked\"" unless
          coding.casecmp?("chunked")
        raise RequestError, "the request has Transfer-Encoding in HTTP/1.0" if
          @server.http_version == "1.0"

        :chunked
      end

      def bounded(chunk)
        return unless chunk

        chunk = chunk.byteslice(0, @left) if @left && chunk.bytesize > @left
        @left -= chunk.bytesize if @left
        check(@taken += chunk.bytesize)
        chunk
      end

      # A server that de-chunks may tell neither length nor coding: then the bytes tell.
      def peek
        @peeked = @source && read_source(PEEK)
      end

      def read_source(size)
        chunk = read_some(size)
        return if chunk.nil? || chunk == ""

        chunk.is_a?(String) ? chunk : raise(IOError, "rack.input gave a #{chunk.class}")
      end

      # What is here, where the input can tell: the method has two spellings.
      def read_some(size)
        return @source.read_partial(size) if @source.respond_to?(:read_partial)

        @source.respond_to?(:readpartial) ? read_partial(size) : @source.read(size)
      end

      def read_partial(size)
        @source.readpartial(size)
      rescue EOFError
        nil
      end
    end
  end
end
