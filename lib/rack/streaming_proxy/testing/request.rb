# frozen_string_literal: true

module Rack
  module StreamingProxy
    module Testing
      # A request as it came to the upstream: the headers of the connection to the client are gone,
      # those that forwarding adds are there. Immutable.
      class Request
        # @return [String] such as `"GET"`
        attr_reader :http_method

        # @return [String] with its query, without credentials, without the scheme's own port
        attr_reader :url

        # @return [Hash{String => String}] names in lower case; several values joined with a comma
        attr_reader :headers

        # @return [String] all of it, binary
        attr_reader :body

        # @param http_method [String]
        # @param url [String]
        # @param fields [Array<Array(String, String)>] names in lower case
        # @param body [String]
        def initialize(http_method, url, fields, body)
          @http_method = http_method
          @url = url
          @headers = fields.group_by(&:first).transform_values do |pairs|
            pairs.map(&:last).join(", ").freeze
          end.freeze
          @body = body.freeze
          freeze
        end

        # @param name [String] of a header, in any case
        # @return [String, nil]
        def [](name) = headers[name.downcase]

        # @return [String] method and URL
        def to_s = "#{http_method} #{url}"

        # @return [String] without headers and body, which may be long
        def inspect = "#<#{self.class} #{self}>"
      end
    end
  end
end
