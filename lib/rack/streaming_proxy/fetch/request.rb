# frozen_string_literal: true

module Rack
  module StreamingProxy
    class Fetch
      # What `proxy_fetch` sends: the application's own method, headers and body, or the client's
      # where it says `:rack`.
      # @api private
      class Request
        # Of the client's, sent in any case: where the request has come from.
        WAY = %w[VIA FORWARDED X-FORWARDED-FOR X-FORWARDED-PROTO X-FORWARDED-HOST
                 X-REQUEST-ID].freeze
        # Of a body as `:rack` sends it.
        ABOUT_BODY = %w[CONTENT-TYPE CONTENT-ENCODING].freeze
        private_constant :WAY, :ABOUT_BODY

        # @return [Target]
        attr_reader :target

        # @return [Input]
        attr_reader :input

        # @return [Input] the client's, whether it is sent or not
        def client_input = @client.input

        # @return [Boolean] whether the client may get no body, as it has asked for the head alone
        def bodiless? = @bodiless

        # @return [String]
        attr_reader :http_method

        # @return [Array<Array(String, String)>]
        attr_reader :fields

        # @param target [Target]
        # @param env [Hash] of the client's request
        # @param server [Server::Generic]
        # @param sent [Hash] `method`, `headers` and `body`, as {Controller#proxy_fetch} takes them
        # @raise [ConfigurationError]
        # @raise [RequestError] if the client's request cannot be sent as HTTP
        def initialize(target, env, server, sent)
          @target = target
          @bodiless = env["REQUEST_METHOD"] == "HEAD"
          @client = StreamingProxy::Request.new(target, ClientRequest.new(env), server)
          method, headers, body = sent.values_at(:method, :headers, :body)
          @http_method = checked((method || (body == :rack ? env["REQUEST_METHOD"] : "GET")).to_s)
          @fields = fields_of(headers, body)
          @input = input_of(body, headers)
          @input.read_once
        end

        # @return [String] without the client's request, which may hold secrets
        def inspect = "#<#{self.class} #{target}>"

        # @param settings [Configuration]
        # @return [Native::Exchange, Array] or the facts of a failure
        def open(settings)
          facts = @client.client(settings)[0..3] + [false, nil]
          StreamingProxy::Request.open(target, [http_method, fields, facts, @input.kind, false],
                                       settings)
        end

        private

        def checked(method)
          return method.upcase if HeaderField.token?(method) && !method.casecmp?("CONNECT")

          refuse(:method, method, "the name of a method of HTTP")
        end

        def fields_of(headers, body)
          return @client.fields if headers == :rack

          names = body == :rack ? WAY + ABOUT_BODY : WAY
          @client.fields.select { |name,| names.include?(name.upcase) }
        end

        def input_of(body, headers)
          return @client.input if body == :rack

          refuse(:body, body, "a String, what can be read, :rack or nil") unless
            body.nil? || body.is_a?(String) || body.respond_to?(:read)
          env = Source.env(body, told_length(headers))
          Input.new(env, Server::Generic.new(env))
        end

        def told_length(headers)
          return if headers == :rack

          headers.find { |name,| name.to_s.casecmp?("content-length") }&.last
        end

        def refuse(name, value, takes)
          raise ConfigurationError,
                "#{name}: #{Configuration.redact(value)} will not do; it takes #{takes}"
        end
      end
    end
  end
end
