# frozen_string_literal: true

$stdout.sync = true
require "logger" # which Active Support 6.1 uses without requiring it
require "rails"
require "action_controller/railtie"
require_relative "require_gems"

module YourRailsApp
  class Application < Rails::Application
    config.root = File.expand_path("..", __dir__)
    config.load_defaults Rails::VERSION::STRING.to_f
    config.hosts = ["client.test"]
    config.secret_key_base = "not secret"
    config.session_store :cookie_store, key: "_your_rails_app_session"
    config.log_tags = [:request_id]
    config.logger = ActiveSupport::TaggedLogging.new(ActiveSupport::Logger.new($stdout))
  end
end
