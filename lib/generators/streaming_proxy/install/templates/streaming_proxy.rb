# frozen_string_literal: true

# Where requests are passed on to other services, and their answers streamed back. Every setting and
# placement is in the README and in docs/rails.md of the gem rack-streaming-proxy.
Rails.application.configure do
  # Seconds from the end of a request to the head of its answer.
  # config.streaming_proxy.timeout = 30

  # Raise in your application, which then shows its own error page, instead of answering 502, 503
  # or 504 in plain text.
  # config.streaming_proxy.raise_on_error = true

  # Here the session, cookies and the request id are known. Where none of them is needed,
  # `insert_before ActionDispatch::Executor` is the shorter way.
  config.middleware.insert_before Rack::Head, Rack::StreamingProxy::Proxy do |request|
    # Return the full URL that a request goes to; with nil or false it goes on to your application.
    #
    # if request.path.start_with?("/files/")
    #   "http://files.internal#{request.fullpath}"
    # end
  end
end
