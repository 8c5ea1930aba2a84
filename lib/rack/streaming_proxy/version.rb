# frozen_string_literal: true

module Rack
  module StreamingProxy
    # The gem's version.
    VERSION = "3.0.0"
  end
end
