# frozen_string_literal: true

module Rack
  module StreamingProxy
    module Testing
      # What tests call, in RSpec's example groups and in Minitest's test classes.
      module Helpers
        # The same as {Testing.stub}.
        #
        # @param url [String, Regexp, #===]
        # @param method [Symbol, String, nil]
        # @yieldparam request [Testing::Request]
        # @yieldreturn [Array(Integer, Hash, #each)]
        # @return [Stub]
        def stub_upstream(url, method: nil, &answer) = Testing.stub(url, method:, &answer)

        # The same as {Testing.requests}.
        #
        # @return [Array<Testing::Request>]
        def upstream_requests = Testing.requests
      end
    end
  end
end
