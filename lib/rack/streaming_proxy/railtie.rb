# frozen_string_literal: true

require_relative "log_subscriber"

module Rack
  module StreamingProxy
    # Gives Rails applications `config.streaming_proxy`, the statuses of our exceptions and the log
    # subscriber. The middleware is inserted by the application. Works also when the gem is first
    # required in an initializer: then a Railtie's own initializers do not run any more, but
    # `after_initialize` does.
    class Railtie < ::Rails::Railtie
      config.streaming_proxy = ::ActiveSupport::OrderedOptions.new

      config.after_initialize do |app|
        Reloading.enabled = !app.config.cache_classes
        Configuration.rails = app.config.streaming_proxy.to_h
        Railtie.map_errors if defined?(::ActionDispatch::ExceptionWrapper)
        Reporters.executor = app.executor
        LogSubscriber.attach_to :streaming_proxy
      end

      # Has Rails answer our exceptions with their statuses, unless the application has said
      # otherwise (`config.action_dispatch.rescue_responses`).
      # @api private
      def self.map_errors
        statuses = ::ActionDispatch::ExceptionWrapper.rescue_responses
        errors = StreamingProxy.constants.map { |name| StreamingProxy.const_get(name) }
        errors.grep(Class).each do |error|
          next unless error <= UpstreamError || error <= RequestError
          next if statuses.key?(error.name)

          statuses[error.name] = error.new.status
        end
      end
    end
  end
end
