# frozen_string_literal: true

module Streamer
  # What differs by server when an answer goes out: which have no body, and who writes the chunks.
  module Framing
    WITHOUT_BODY = [204, 304].freeze

    # A body in HTTP's chunks. When the inner one raises, the last chunk is missing, as it must be.
    class Chunked
      def initialize(body)
        @body = body
      end

      def each
        @body.each { |part| yield "#{part.bytesize.to_s(16)}\r\n#{part}\r\n" unless part.empty? }
        yield "0\r\n\r\n"
      end

      def close
        @body.close if @body.respond_to?(:close)
      end
    end

    # @return [Boolean] whether this server sends the body as it comes, without HTTP's chunks
    def self.left_to_us?(env)
      env["SERVER_SOFTWARE"].to_s.match?(/\A(?:Unicorn|Pitchfork)/)
    end

    # @return [Array] the Rack response that this server makes a correct HTTP response of
    def self.apply(env, status, headers, body)
      # Unicorn sends the body of an answer to HEAD as well.
      return [status, headers, []] if env["REQUEST_METHOD"] == "HEAD"
      return [status, headers, body] if headers["content-length"] || WITHOUT_BODY.include?(status)

      without_length(env, status, headers, body)
    end

    def self.without_length(env, status, headers, body)
      if http10?(env)
        # Puma would keep the connection if the client asks for it: nothing would end the body.
        env["HTTP_CONNECTION"] = "close"
        [status, headers, body]
      elsif left_to_us?(env)
        [status, headers.merge("transfer-encoding" => "chunked"), Chunked.new(body)]
      else
        [status, headers, body]
      end
    end

    def self.http10?(env)
      # Puma 5 says HTTP/1.1 in SERVER_PROTOCOL whatever the client speaks.
      [env["HTTP_VERSION"], env["SERVER_PROTOCOL"]].include?("HTTP/1.0")
    end
    private_class_method :without_length, :http10?
  end
end
