# frozen_string_literal: true

# Source texts of config.ru for the server processes of the specs.
module RackupText
  INNER = File.expand_path("inner_app", __dir__)

  TO_UPSTREAM =
    'ENV.fetch("UPSTREAM") + request.fullpath unless request.path.start_with?("/__")'
  TO_PORT = '"http://127.0.0.1:" + request.fullpath[1..] if request.path.match?(%r{\A/\d})'
  private_constant :TO_UPSTREAM, :TO_PORT

  module_function

  # A proxy to ENV["UPSTREAM"]; paths that begin with /__ go to InnerApp.
  # @param settings [String] keywords as they would be written in a config.ru
  # @param above [String] lines before the proxy, such as `use Rack::Lint`
  # @param below [String] lines after it
  # @param to [String] the block's expression: where `request` goes
  def proxy(settings = "", above: "", below: "", to: TO_UPSTREAM)
    keywords = ["logger: Logger.new($stdout)", settings].reject(&:empty?).join(", ")
    <<~RUBY
      require "logger"
      require "rack/streaming_proxy"
      require #{INNER.inspect}
      $stdout.sync = true
      #{above}
      use Rack::StreamingProxy::Proxy, #{keywords} do |request|
        #{to}
      end
      #{below}
      run InnerApp
    RUBY
  end

  # A proxy to any port of this machine, which the path begins with: /PORT/path.
  def proxy_to_ports(settings = "", **more)
    proxy(settings, to: TO_PORT, **more)
  end
end
