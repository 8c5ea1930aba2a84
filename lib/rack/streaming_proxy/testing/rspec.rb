# frozen_string_literal: true

# Required in spec_helper.rb: example groups get the helpers and the matcher, stubs end with their
# example, and real connections are refused.

require "rspec/core"
require "rack/streaming_proxy/testing"
require_relative "helpers"
require_relative "have_proxied"

RSpec.configure do |config|
  config.include Rack::StreamingProxy::Testing::Helpers
  config.include Rack::StreamingProxy::Testing::Matchers
  config.after { Rack::StreamingProxy::Testing.reset }
end

Rack::StreamingProxy::Testing.disable_net_connect!
