# frozen_string_literal: true

# What the specs of proxy_fetch have controllers do, by the name in the path.
module FetchActions
  include Rack::StreamingProxy::Controller

  def show
    send(params[:name])
  end

  private

  def upstream(path) = ENV.fetch("UPSTREAM") + path

  def held = proxy_fetch(upstream("/held"), headers: { "X-A" => "1" })

  def whole = proxy_fetch(upstream("/whole"), headers: { "X-A" => "1", "Connection" => "close" })

  def posted = proxy_fetch(upstream("/whole"), body: :rack)

  def everything = proxy_fetch(upstream("/whole"), headers: :rack, body: :rack)

  def patched = proxy_fetch(upstream("/whole"), method: :patch, body: "text")

  def put_io = proxy_fetch(upstream("/whole"), method: :put,
                                               body: StringIO.new("an IO").tap(&:getc))

  def headless = proxy_fetch(upstream("/whole"), method: :head)

  def malformed = proxy_fetch("no url")

  def unknown_setting = proxy_fetch(upstream("/whole"), no_such: 1)

  def unknown_body = proxy_fetch(upstream("/whole"), body: 1)

  def unknown_method = proxy_fetch(upstream("/whole"), method: "GET /")

  def refused = proxy_fetch("http://127.0.0.1:1/")

  def late = proxy_fetch(upstream("/silent"), timeout: 0.2)

  def by_the_server = proxy_fetch(upstream("/whole"), delivery: :body)

  def twice = 2.times { whole }

  def rendered
    render plain: "first"
    whole
  end

  def rendered_after
    whole
    render plain: "second"
  end

  def headers_changed
    proxy_fetch(upstream("/whole")) do |config|
      config.on_headers { |response| response["X-Added"] = "by us" }
      config.on_complete { |response| logger.info("complete #{response.code}") }
    end
  end

  def taken_over(**settings)
    proxy_fetch(upstream("/whole"), **settings) do |config|
      config.on_response { |response, responder| responder.render(json: { was: response.code }) }
    end
  end

  def taken_over_by_the_server = taken_over(delivery: :body)

  def raising
    proxy_fetch(upstream("/whole")) do |config|
      config.on_response { raise ArgumentError, "by a callback" }
      config.on_error { |error| logger.info("told of #{error.class}") }
    end
  end

  def raising_everywhere
    proxy_fetch(upstream("/whole")) do |config|
      config.on_response { raise ArgumentError, "by a callback" }
      config.on_error { raise KeyError, "by another" }
    end
  end

  def injecting
    proxy_fetch(upstream("/whole")) do |config|
      config.on_response { |_, responder| responder.redirect_to("/a\r\nSet-Cookie: x=1") }
    end
  end

  def blocking = proxy_fetch(upstream("/whole")) { |config| config.on_response { sleep } }

  def closing
    proxy_fetch(upstream("/whole")) { |config| config.on_headers { |_, socket| socket.close } }
  end

  def cut
    proxy_fetch(upstream("/cut")) do |config|
      config.on_error { |error, socket| logger.info("told of #{error.class} #{socket.closed?}") }
    end
  end

  def left
    proxy_fetch(upstream("/left")) do |config|
      config.on_error { |error| logger.info("told of #{error.class}") }
    end
  end
end
