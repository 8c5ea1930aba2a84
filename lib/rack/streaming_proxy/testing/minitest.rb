# frozen_string_literal: true

require "minitest"
require "rack/streaming_proxy/testing"
require_relative "helpers"
require_relative "have_proxied"

module Rack
  module StreamingProxy
    module Testing
      # For Minitest's test classes, Rails' among them: assertions, and stubs that end with their
      # test. Real connections are refused from the first `include` on.
      #
      # @example
      #   class ActiveSupport::TestCase
      #     include Rack::StreamingProxy::Testing::Minitest
      #   end
      module Minitest
        include Helpers

        # @param base [Module]
        # @api private
        def self.included(base)
          super
          Testing.disable_net_connect!
        end

        # Minitest's hook.
        #
        # @api private
        def before_setup
          Testing.reset
          super
        end

        # Minitest's hook.
        #
        # @api private
        def after_teardown
          super
          Testing.reset
        end

        # Fails unless such a request has come to an upstream.
        #
        # @param method [Symbol, String, nil] nil: any
        # @param url [String, Regexp, #===] as for {Testing.stub}
        # @param headers [Hash{String => String, #===, nil}] nil: not there; others may be there
        # @param body [String, #===, nil] nil: any
        # @param times [Integer, nil] nil: once or more
        # @return [true]
        def assert_proxied(method, url, headers: {}, body: nil, times: nil)
          expected = HaveProxied.new(method, url).with(headers:, body:).times(times)
          assert expected.matches?, -> { expected.failure_message }
        end

        # Fails if such a request has come to an upstream.
        #
        # @param method [Symbol, String, nil] nil: any
        # @param url [String, Regexp, #===] as for {Testing.stub}
        # @param headers [Hash{String => String, #===, nil}]
        # @param body [String, #===, nil] nil: any
        # @return [false, nil]
        def refute_proxied(method, url, headers: {}, body: nil)
          unexpected = HaveProxied.new(method, url).with(headers:, body:)
          refute unexpected.matches?, -> { unexpected.failure_message_when_negated }
        end
      end
    end
  end
end
