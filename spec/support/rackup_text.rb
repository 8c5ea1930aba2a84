# frozen_string_literal: true

# Source texts of config.ru for the server processes of the specs.
module RackupText
  INNER = File.expand_path("inner_app", __dir__)

  module_function

  # A proxy to ENV["UPSTREAM"]; paths that begin with /__ go to InnerApp.
  # @param settings [String] keywords as they would be written in a config.ru
  # @param above [String] lines before the proxy, such as `use Rack::Lint`
  # @param below [String] lines after it
  def proxy(settings = "", above: "", below: "")
    keywords = ["logger: Logger.new($stdout)", settings].reject(&:empty?).join(", ")
    <<~RUBY
      require "logger"
      require "rack/streaming_proxy"
      require #{INNER.inspect}
      $stdout.sync = true
      #{above}
      use Rack::StreamingProxy::Proxy, #{keywords} do |request|
        ENV.fetch("UPSTREAM") + request.fullpath unless request.path.start_with?("/__")
      end
      #{below}
      run InnerApp
    RUBY
  end
end
