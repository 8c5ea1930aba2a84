# frozen_string_literal: true

# For examples of Rack::StreamingProxy::Testing: what they call, and nothing left of it.
module StubbedCalls
  def self.included(group)
    group.after { Rack::StreamingProxy::Testing.reset }
  end

  # A proxy that raises what goes wrong.
  def proxy(**settings, &block)
    block ||= ->(request) { "http://files.internal#{request.fullpath}" }
    bare(raise_on_error: true, **settings, &block)
  end

  def stub(...) = Rack::StreamingProxy::Testing.stub(...)
end
