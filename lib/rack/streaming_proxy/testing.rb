# frozen_string_literal: true

require "rack/streaming_proxy"
require_relative "testing/net_connect"
require_relative "testing/request"
require_relative "testing/stub"
require_relative "testing/registry"
require_relative "testing/failures"
require_relative "testing/request_reader"
require_relative "testing/response_writer"
require_relative "testing/upstream"
require_relative "testing/exchange"
require_relative "testing/web_mock_stubs"

module Rack
  module StreamingProxy
    # For tests of applications that proxy: upstreams that are answered for in Ruby, a record of
    # what was asked of them, and no connection that a test did not mean. Everything else is as in
    # production: the request goes through the engine to a loopback port, where the stub answers in
    # the thread of the request. Loaded by those who require it, and by WebMock's presence.
    #
    # A stub belongs to the thread that made it, the test's: tests in several threads do not see
    # each other's. A thread that has made none, such as a server's, sees all.
    #
    # @example
    #   Rack::StreamingProxy::Testing.stub("http://files.internal/a") { [200, {}, ["hello"]] }
    module Testing
      # What a stand-in is not asked for in another way than HTTP/1 over a connection of its own.
      # Names are not resolved, so that no destination can be refused.
      INSTEAD = { socket: nil, http2: :never, allow_destinations: :any,
                  max_connection_requests: 1 }.freeze
      private_constant :INSTEAD

      @registry = Registry.new
      @net_connect = NetConnect.new

      class << self
        # Answers requests to a URL. Of several stubs that fit, the last one does.
        #
        # The block gets the {Testing::Request} when all of it is here, in the thread of the
        # request, and returns what a Rack application does. A body of Strings is sent with its
        # Content-Length; any other that has `each` in chunks, each of them taken when the last one
        # has come out of the proxy. {BodyError} among them cuts the response there. To fail before
        # the head the block raises an {UpstreamError}, such as {ConnectError} or {TimeoutError}.
        #
        # @param url [String, Regexp, #===] a whole URL with its query, or what is asked with `===`
        #   about the URL, which has no credentials and, if it is the scheme's own, no port
        # @param method [Symbol, String, nil] nil: any
        # @yieldparam request [Testing::Request]
        # @yieldreturn [Array(Integer, Hash, #each)] status, headers, body
        # @return [Stub]
        # @raise [ConfigurationError] for a String that is no URL
        # @raise [ArgumentError] without a block
        def stub(url, method: nil, &answer)
          @registry.add(Stub.new(url, method:, &answer))
        end

        # What was asked of stubs, each attempt for itself, as it came to the upstream; the oldest
        # first.
        #
        # @return [Array<Testing::Request>]
        def requests = @registry.requests

        # Forgets the stubs and the requests of the test that runs in this thread.
        #
        # @return [void]
        def reset = @registry.reset

        # Refuses requests that no stub fits with a {NetConnectNotAllowedError}.
        #
        # @param allow [Array<String, Regexp, #===>, String, Regexp, #===] what may be connected to
        #   all the same: a host, a `host:port`, `"localhost"` for all names of the loopback
        #   addresses, or what is asked with `===` about the URL
        # @return [void]
        def disable_net_connect!(allow: [])
          @net_connect = NetConnect.new(refused: true, allow:)
        end

        # Lets requests that no stub fits go to their upstreams, as they do before the first
        # {.disable_net_connect!}.
        #
        # @return [void]
        def allow_net_connect!
          @net_connect = NetConnect.new
        end

        # Opens an exchange in the engine's place.
        #
        # @param target [Native::Target]
        # @param request [Array] as for the engine
        # @param settings [Configuration]
        # @return [Testing::Exchange, Native::Exchange, Array] or the facts of a failure
        # @raise [NetConnectNotAllowedError]
        # @api private
        def open(target, request, settings)
          stub = stub_for(request.first, target.url)
          return Native::Client.open(target, request, settings.policy) unless stub

          open_stubbed(stub, target, request, settings)
        end

        private

        def stub_for(method, url)
          found = @registry.find(method, url)
          found ||= WebMockStubs.for(method, url) if defined?(::WebMock)
          found || @net_connect.check(method, url, @registry)
        end

        def open_stubbed(stub, target, request, settings)
          eager = settings.num_retries_on_5xx.positive?
          upstream = Upstream.new(target.url, eager:) do |asked|
            @registry.record(asked, stub)
            stub.answer(asked)
          end
          policy = settings.with(INSTEAD).policy
          opened = Native::Client.open(target.at(upstream.port), request, policy)
          upload = !request[3].nil?
          return opened if opened.is_a?(Array)

          exchange = Exchange.new(opened, upstream, target.origin, upload:)
        ensure
          upstream&.close unless exchange
        end
      end

      StreamingProxy::Request.stand_in = self
    end
  end
end
