# frozen_string_literal: true

# Rails applications on Puma, and what specs ask of them.
module RailsRequests
  # An initializer that proxies /search, with these lines of configuration and this insertion.
  def initializer(configuration = "", insert: "insert_before Rack::Head, ", block: nil)
    block ||= 'ENV.fetch("UPSTREAM") + request.fullpath if request.path.start_with?("/search")'
    <<~RUBY
      require "rack/streaming_proxy"

      YourRailsApp::Application.configure do
        #{configuration}
        config.middleware.#{insert}Rack::StreamingProxy::Proxy do |request|
          #{block}
        end
      end
    RUBY
  end

  # @param text [String] the initializer
  # @param application [Hash] as for RailsApplication
  def start_rails(text, upstream: nil, environment: "production", env: {}, **application)
    @application = keep(RailsApplication.new(text, **application))
    start_puma(@application.rackup,
               env: { "UPSTREAM" => upstream&.url(""), "RAILS_ENV" => environment }.merge(env))
  end

  def get(server, path, headers = {})
    client = connect(server)
    client.get(path, headers)
    client.read_response(within: 10)
  end

  def post(server, path, body, headers = {})
    client = connect(server)
    form = { "Content-Type" => "application/x-www-form-urlencoded" }
    client.request("POST", path, form.merge(headers), body)
    client.read_response(within: 10)
  end

  # The cookies that an answer sets, for the next request.
  def cookies(answer)
    values = answer.head.all("set-cookie").map { |value| value[/\A[^;]+/] }
    values.empty? ? {} : { "Cookie" => values.join("; ") }
  end
end
