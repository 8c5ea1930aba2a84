# frozen_string_literal: true

module Rack
  module StreamingProxy
    module Testing
      # A stub's answer as HTTP/1.1, piece by piece. Strings are sent with their length, what else
      # has `each` in chunks.
      # @api private
      class ResponseWriter
        LAST_CHUNK = "0\r\n\r\n"
        private_constant :LAST_CHUNK

        # @return [Integer]
        attr_reader :status

        # @return [Integer] bytes of the body that {#next} has given
        attr_reader :given

        # @param request [Testing::Request]
        # @param answer [Array(Integer, Hash, #each)] what the stub's block returned
        # @raise [ArgumentError] if it is something else
        def initialize(request, answer)
          @request = request
          @status, @headers, body = checked(answer)
          @body = body.respond_to?(:each) ? body : [body].compact
          @fields = fields
          @given = 0
        end

        # @return [String] status line and headers
        def head
          first = "HTTP/1.1 #{@status} #{Rack::Utils::HTTP_STATUS_CODES[@status]}"
          lines = [first, *@fields.map { |name, value| "#{name}: #{value}" }, "", ""]
          lines.map(&:b).join("\r\n")
        end

        # @return [String, Class, nil] the next piece; nil at the end; {BodyError}: the response is
        #   cut here
        def next
          piece = next_of_body
          return piece if piece.nil? || piece == BodyError

          @given += piece.bytesize
          @chunked ? "#{piece.bytesize.to_s(16)}\r\n".b << piece.b << "\r\n" : piece
        end

        # @return [String, nil] what ends the body
        def ending = (LAST_CHUNK if @chunked)

        private

        def checked(answer)
          status, headers, _body = answer if answer.is_a?(Array) && answer.size == 3
          return answer if status.is_a?(Integer) && status.between?(200, 599) && headers.is_a?(Hash)

          raise ArgumentError, "the block of a stub returns [status, headers, body], with a " \
                               "status from 200 to 599, and not " \
                               "#{Configuration.redact(answer)} (#{@request})"
        end

        # Several values of a name are an Array (Rack 3) or lines (Rack 2).
        def fields
          pairs = @headers.flat_map do |name, values|
            lines = Array(values).flat_map { |value| value.to_s.split("\n", -1) }
            lines.map { |value| [name.to_s, value] }
          end
          pairs.reject! { |name, _| name.casecmp?("transfer-encoding") }
          pairs + framing(pairs.any? { |name, _| name.casecmp?("content-length") })
        end

        def framing(length_given)
          return [] if length_given || [204, 304].include?(@status)
          return [["Content-Length", @body.sum(&:bytesize)]] if
            @body.is_a?(Array) && @body.all?(String)

          @chunked = true
          [%w[Transfer-Encoding chunked]]
        end

        def next_of_body
          @pieces ||= @body.to_enum(:each)
          loop do
            piece = @pieces.next
            return piece if piece == BodyError
            raise TypeError, "a stub's body has Strings, not a #{piece.class}" unless
              piece.is_a?(String)

            return piece unless piece.empty?
          end
          nil
        end
      end
    end
  end
end
