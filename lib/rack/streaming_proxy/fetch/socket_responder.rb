# frozen_string_literal: true

require "json"

module Rack
  module StreamingProxy
    class Fetch
      # With this a callback answers the client in the upstream's place.
      class SocketResponder
        # @return [Integer, nil] of what {#render} has answered
        # @api private
        attr_reader :status

        # @param client [Delivery::HijackedClient, RackClient]
        # @param bodiless [Boolean] whether the client may get no body, as for HEAD
        def initialize(client, bodiless)
          @client = client
          @bodiless = bodiless
        end

        # Answers, and ends the connection. The body is `body`, or instead of it `json: object`,
        # which has `to_json`, or `text: string`.
        #
        # @param status [Integer, Symbol] 200 to 599
        # @param headers [Hash{String, Symbol => String, Array<String>}]
        # @param body [String, #read, nil]
        # @param content [Hash{Symbol => Object}] `json` or `text`
        # @return [Boolean] false if the client has had an answer, or its beginning, or has left
        # @raise [ArgumentError] for what is no header, or no status of a response
        def render(status: 200, headers: {}, body: nil, **content)
          return false if begun?

          body, type = content_of(body, **content)
          headers = lines(headers)
          add(headers, "Content-Type", type) if type
          @status = code_of(status)
          answer(headers, body)
          true
        end

        # @param url [String]
        # @return [Boolean] as {#render}
        def redirect_to(url)
          render(status: 302, headers: { "Location" => url.to_s })
        end

        # Writes bytes as they are, which are to be a response of HTTP, or one's beginning: nobody
        # else answers then, and the connection ends behind the callback.
        #
        # @param data [String]
        # @return [Integer, nil] bytes; nil if it is closed
        # @raise [Error] if the server has handed no socket over
        def write(data)
          @client.write(data) unless closed?
        end

        # Ends the connection; nothing more is sent.
        def close
          @client.close
          nil
        end

        # @return [Boolean] whether nothing more can be sent
        def closed? = @client.closed?

        # @return [Boolean] whether something has been sent already, or nothing more can be
        # @api private
        def begun? = @client.begun?

        private

        # With a status of 1xx the client would wait on.
        def code_of(status)
          code = ::Rack::Utils.status_code(status)
          return code if code.between?(200, 599)

          raise ArgumentError, "#{Configuration.redact(status)} is no status of a response, " \
                               "which is 200 to 599"
        end

        def content_of(body, json: (no_json = true), text: nil)
          return [json_of(json), "application/json; charset=utf-8"] unless no_json
          return [text.to_s, "text/plain; charset=utf-8"] if text

          [body || "", nil]
        end

        # As Active Support writes it, where it is.
        def json_of(object)
          object.respond_to?(:to_json) ? object.to_json : ::JSON.generate(object)
        end

        # A new Hash: the caller's stays as it is.
        def lines(headers)
          headers.each_with_object({}) do |(name, values), all|
            name = name.to_s
            values = Array(values).map { |value| value.to_s.b }
            HeaderField.check(name, *values)
            all[name] = values if HeaderField.settable?(name)
          end
        end

        def add(headers, name, value)
          headers[name] = [value] unless headers.any? { |one,| one.casecmp?(name) }
        end

        def answer(headers, body)
          return @client.stream(@status, headers, Pieces.new(body)) if
            body.respond_to?(:read) && !without_body?

          text = body.respond_to?(:read) ? "" : body.to_s
          length = RackHeaders.spelled("content-length")
          headers[length] = text.bytesize.to_s unless without_length?(body)
          @client.answer([@status, headers, without_body? ? [] : [text]])
        end

        def without_body? = @bodiless || RackHeaders.bodiless?(@status)

        def without_length?(body)
          RackHeaders.bodiless?(@status) || body.respond_to?(:read)
        end
      end
    end
  end
end
