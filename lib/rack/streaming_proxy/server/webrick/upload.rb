# frozen_string_literal: true

module Rack
  module StreamingProxy
    module Server
      class WEBrick < Generic
        # For a WEBrick::HTTPRequest that rackup reads in a Fiber. When the server ends it waits for
        # threads with `:WEBrickThread`, which is local to the Fiber that runs in them: a thread
        # that waits for an upload would be killed (answered 200 without a body, or never ended).
        # @api private
        module Upload
          # @yieldparam chunk [String]
          def body(&)
            Thread.current[:WEBrickThread] = true
            super
          end
        end
      end
    end
  end
end
