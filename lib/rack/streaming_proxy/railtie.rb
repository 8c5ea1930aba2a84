# frozen_string_literal: true

module Rack
  module StreamingProxy
    # Gives Rails applications `config.streaming_proxy`. The middleware is inserted by the
    # application. Works also when the gem is first required in an initializer: then a Railtie's own
    # initializers do not run any more, but `after_initialize` does.
    class Railtie < ::Rails::Railtie
      config.streaming_proxy = ::ActiveSupport::OrderedOptions.new

      config.after_initialize do |app|
        Configuration.rails = app.config.streaming_proxy.to_h
      end
    end
  end
end
