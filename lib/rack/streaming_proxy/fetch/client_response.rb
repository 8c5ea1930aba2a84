# frozen_string_literal: true

module Rack
  module StreamingProxy
    class Fetch
      # The upstream's response, as the callbacks get it. Has what they use of a Net::HTTPResponse.
      class ClientResponse
        # @return [Integer]
        attr_reader :status

        # @param head [Array] `[status, fields, length or nil, body?]`
        # @param session [Session]
        def initialize(head, session)
          @status, fields, @length, @has_body = head
          @fields = fields.map(&:dup)
          @session = session
        end

        # @return [String] without headers and body, which may hold secrets
        def inspect = "#<#{self.class} #{status}>"

        # @return [String] the status
        def code = @status.to_s

        # @return [String] the status's name
        def message = ::Rack::Utils::HTTP_STATUS_CODES.fetch(@status, "")

        # @param name [String, Symbol]
        # @return [String, nil] the values of a header, joined with commas
        def [](name) = get_fields(name)&.join(", ")

        # Sets a header that the client is to get. What frames the body is computed, and stays.
        #
        # @param name [String, Symbol]
        # @param values [String, Array<String>, nil] nil deletes it
        # @raise [ArgumentError]
        def []=(name, values)
          delete(name)
          Array(values).each { |value| add_field(name, value) }
        end

        # @param name [String, Symbol]
        # @param value [String] of a further line
        # @raise [ArgumentError]
        def add_field(name, value)
          name = name.to_s.downcase
          # As the upstream's, with which it may be joined.
          value = value.to_s.b
          HeaderField.check(name, value)
          @fields << [name, value] if HeaderField.settable?(name)
        end

        # @param name [String, Symbol]
        # @return [String, nil] what it was
        def delete(name)
          was = self[name]
          @fields.reject! { |one,| one == name.to_s.downcase }
          was
        end

        # @param name [String, Symbol]
        # @return [Array<String>, nil] the values of a header, a line each
        def get_fields(name)
          name = name.to_s.downcase
          return @length&.then { |length| [length.to_s] } if name == "content-length"

          values = @fields.filter_map { |one, value| value if one == name }
          values.empty? ? nil : values
        end

        # @param name [String, Symbol]
        # @return [Boolean]
        def key?(name) = !get_fields(name).nil?

        # @yieldparam name [String] in lower case
        # @yieldparam value [String] its values, joined with commas
        def each_header
          return enum_for(:each_header) unless block_given?

          @fields.map(&:first).uniq.each { |name| yield name, self[name] }
        end

        # @return [String, nil] without parameters
        def content_type = self["content-type"]&.[](/\A[^;\s]+/)

        # @return [Integer, nil]
        def content_length = @length

        # Reads the body whole, in `on_response`; may block. Then the client gets none of it.
        #
        # @return [String] binary
        # @raise [BodyError] if it is cut short
        # @raise [ResponseBodyAlreadyConsumedError] if it is the client's, or an earlier call has
        #   not come to its end
        def body
          return @body if @body

          refuse_again if @consumed
          @consumed = true
          @body = read_all
        end

        # @return [Boolean] whether {#body} has read of it
        def read? = @consumed || false

        # The body is the client's from here on.
        #
        # @param bodiless [Boolean] whether the client may get no body, as for HEAD
        # @return [Array] `[status, fields, length or nil, body?]`
        # @api private
        def head(bodiless)
          @consumed = true
          length = @has_body || bodiless ? @length : 0
          [@status, @fields, length, @has_body && !bodiless]
        end

        private

        def refuse_again
          raise ResponseBodyAlreadyConsumedError,
                "the body of the response from #{@session.upstream} has gone to the client, or " \
                "was read in part: read it once, in on_response"
        end

        def read_all
          text = String.new(encoding: Encoding::BINARY)
          while @has_body && (chunk = @session.read)
            text << chunk
          end
          text
        end
      end
    end
  end
end
