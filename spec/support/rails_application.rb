# frozen_string_literal: true

# A minimal Rails application in a directory of its own, with an initializer of the spec's choice.
class RailsApplication
  FILES = {
    "config/application.rb" => <<~RUBY,
      require "logger"
      require "rails"
      require "action_controller/railtie"
      %<early>s

      module YourRailsApp
        class Application < Rails::Application
          config.load_defaults 6.1
          config.eager_load = true
          config.hosts.clear
          config.secret_key_base = "not secret"
          config.logger = ActiveSupport::Logger.new($stdout, formatter: proc { |*, text| text + "\\n" })
        end
      end
    RUBY
    "config/environment.rb" => <<~RUBY,
      require_relative "application"
      Rails.application.initialize!
    RUBY
    "config/routes.rb" => <<~RUBY,
      Rails.application.routes.draw do
        get "/settings", to: proc { [200, {}, [Rails.application.config.streaming_proxy.to_h.except(:logger).inspect]] }
        get "/middleware", to: proc { [200, {}, [Rails.application.middleware.map(&:name).join("\\n")]] }
        match "*any", via: :all, to: proc { [200, {}, ["from Rails"]] }
      end
    RUBY
    "config.ru" => <<~RUBY
      $stdout.sync = true
      require_relative "config/environment"
      run Rails.application
    RUBY
  }.freeze

  attr_reader :directory

  # @param initializer [String] text of config/initializers/streaming_proxy.rb
  # @param early [String] what config/application.rb requires before the application is defined
  def initialize(initializer, early: "")
    @directory = Dir.mktmpdir("streaming-proxy-rails")
    FILES.each { |path, text| write(path, text.sub("%<early>s") { early }) }
    write("config/initializers/streaming_proxy.rb", initializer)
  end

  def rackup
    File.join(directory, "config.ru")
  end

  def stop
    FileUtils.remove_entry(directory)
  end

  private

  def write(path, text)
    file = File.join(directory, path)
    FileUtils.mkdir_p(File.dirname(file))
    File.write(file, text)
  end
end
