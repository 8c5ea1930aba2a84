# frozen_string_literal: true

module Rack
  module StreamingProxy
    module Testing
      # Reads one HTTP/1.1 request out of the pieces in which the engine sends it. It believes what
      # it reads: the engine does not send what is malformed.
      # @api private
      class RequestReader
        # @param url [String] of the request
        def initialize(url)
          @url = url
          @buffer = String.new(encoding: Encoding::BINARY)
          @body = String.new(encoding: Encoding::BINARY)
        end

        # @param bytes [String]
        # @return [Testing::Request, nil] when it is whole
        def take(bytes)
          @buffer << bytes
          return unless @fields || read_head

          whole = @fields.assoc("transfer-encoding") ? read_chunks : read_length
          Request.new(@method, @url, @fields, @body) if whole
        end

        private

        def read_head
          head = @buffer.slice!(/\A.*?\r\n\r\n/mn) or return
          line, *lines = head.split("\r\n")
          @method = line[/\A\S+/]
          @fields = lines.map { |text| text.split(/:[ \t]*/, 2) }
          @fields.each { |name, _| name.downcase! }
        end

        def read_length
          @body << @buffer.slice!(0..)
          @body.bytesize >= @fields.assoc("content-length")&.last.to_i
        end

        def read_chunks
          while (size = @buffer[/\A\h+(?=[^\r]*\r\n)/n])
            start = @buffer.index("\r\n") + 2
            size = size.hex
            return true if size.zero? && @buffer.bytesize >= start + 2
            return if @buffer.bytesize < start + size + 2

            @body << @buffer.byteslice(start, size)
            @buffer = @buffer.byteslice((start + size + 2)..)
          end
        end
      end
    end
  end
end
