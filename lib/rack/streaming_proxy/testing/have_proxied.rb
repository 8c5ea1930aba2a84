# frozen_string_literal: true

module Rack
  module StreamingProxy
    module Testing
      # A matcher of RSpec: true if such a request has come to an upstream. It asks
      # {Testing.requests}, whatever is expected of it.
      #
      # @example
      #   expect(app).to have_proxied(:post, "http://files.internal/a").with(body: /hello/).once
      class HaveProxied
        # @param method [Symbol, String, nil] nil: any
        # @param url [String, Regexp, #===] as for {Testing.stub}
        # @raise [ConfigurationError] for a String that is no URL
        def initialize(method, url)
          @method = Stub.http_method(method)
          @url = Stub.url(url)
          @headers = {}
          @times = nil
        end

        # @param headers [Hash{String => String, #===, nil}] nil: not there; others may be there
        # @param body [String, #===, nil] nil: any
        # @return [self]
        def with(headers: {}, body: nil)
          @headers = headers
          @body = body
          self
        end

        # @param count [Integer, nil] nil: once or more
        # @return [self]
        def times(count)
          @times = count
          self
        end

        # @return [self]
        def once = times(1)

        # @param _subject [Object] nothing is asked of it
        # @return [Boolean]
        def matches?(_subject = nil)
          count = Testing.requests.count { |request| fits?(request) }
          @times ? count == @times : count.positive?
        end

        # @return [String]
        def description
          ["have proxied #{@method || "any method"} #{shown(@url)}",
           *("with headers #{@headers.inspect}" unless @headers.empty?),
           *("with body #{shown(@body)}" if @body),
           *("#{@times} times" if @times)].join(" ")
        end

        # @return [String]
        def failure_message = "expected to #{description}\n#{proxied}"

        # @return [String]
        def failure_message_when_negated = "expected not to #{description}\n#{proxied}"

        private

        def fits?(request)
          (@method.nil? || @method == request.http_method) && like?(@url, request.url) &&
            @headers.all? { |name, value| like?(value, request[name.to_s]) } &&
            (@body.nil? || like?(@body, request.body))
        end

        # A pattern for text is meant for characters, where the bytes are some.
        def like?(pattern, value)
          return pattern.b == value&.b if pattern.is_a?(String)

          text = value&.dup&.force_encoding("UTF-8")
          pattern === (text&.valid_encoding? ? text : value) # rubocop:disable Style/CaseEquality
        end

        def shown(pattern) = pattern.is_a?(String) ? pattern : pattern.inspect

        def proxied
          lines = Testing.requests.map do |request|
            "  #{request} #{request.headers} #{request.body.byteslice(0, 200).inspect}"
          end
          lines.empty? ? "nothing was proxied" : "proxied were\n#{lines.join("\n")}"
        end
      end

      # What RSpec's example groups get beside {Helpers}.
      module Matchers
        # @param method [Symbol, String, nil] nil: any
        # @param url [String, Regexp, #===] as for {Testing.stub}
        # @return [HaveProxied]
        def have_proxied(method, url) = HaveProxied.new(method, url) # rubocop:disable Naming/PredicateName
      end
    end
  end
end
