# frozen_string_literal: true

require "delegate"
require "rack/streaming_proxy"

# What rails-threaded-proxy 0.5 defines, made of {Rack::StreamingProxy}: for applications that are
# to run unchanged. New ones include {Rack::StreamingProxy::Controller}.
module ThreadedProxy
  # The event that subscribers of rails-threaded-proxy know.
  EVENT = "threaded_proxy.fetch"

  # `on_response` has read the body, and has not answered.
  ResponseBodyAlreadyConsumedError = Rack::StreamingProxy::ResponseBodyAlreadyConsumedError

  # @param url [String, URI]
  # @param env [Hash]
  # @param options [Hash{Symbol => Object}] which stays as it is
  # @param callbacks [Callbacks]
  # @yieldparam callbacks [Callbacks]
  # @return [Rack::StreamingProxy::Fetch]
  # @raise [Rack::StreamingProxy::ConfigurationError]
  # @api private
  def self.fetch(url, env, options, callbacks = Callbacks.new, &configure)
    options = options.to_h.transform_keys(&:to_sym)
    fetch = Rack::StreamingProxy::Fetch.new(url, env, **options, callbacks:, &configure)
    about = { method: (options[:method] || :get).to_s.downcase,
              url: fetch.target.native.url, headers: options[:headers] || {} }
    fetch.alongside(EVENT, about)
  end

  # The callbacks: `on_error` gets the error that the system or Ruby's own network classes raise,
  # such as Errno::ECONNREFUSED, where there is one.
  class Callbacks < Rack::StreamingProxy::Fetch::Callbacks
    # @return [StandardError, nil] what nobody has handled
    # @api private
    attr_reader :unhandled

    # @param name [Symbol]
    # @return [Proc, nil]
    # @api private
    def [](name)
      block = super
      return block unless name == :on_error

      lambda do |error, responder|
        error = original(error)
        block ? block.call(error, responder) : @unhandled = error
      end
    end

    private

    def original(error)
      cause = error.cause
      cause = cause.cause if cause.is_a?(Rack::StreamingProxy::Failure)
      cause.is_a?(SystemCallError) || cause.is_a?(SocketError) ? cause : error
    end
  end

  # Asks an upstream, and writes its response to a socket of the caller's, in the caller's thread.
  class Client
    # Nothing of it is the engine's to write to.
    Sink = Class.new(SimpleDelegator)
    private_constant :Sink

    # @param origin_url [String, URI]
    # @param options [Hash{Symbol => Object}] as {Rack::StreamingProxy::Controller#proxy_fetch}'s
    # @yieldparam config [Callbacks]
    # @raise [Rack::StreamingProxy::ConfigurationError]
    def initialize(origin_url, options = {}, &configure)
      @origin_url = origin_url
      @options = { x_forwarded: :off }.merge(options)
      @configure = configure
      ThreadedProxy.fetch(origin_url, {}, @options) # Refuses what will not do.
    end

    # Asks, and returns when the response has been written and the socket is closed; blocks.
    #
    # @param socket [#write, #close, #closed?] such as a StringIO
    # @raise [StandardError] what went wrong, if there is no `on_error`
    def start(socket)
      env = { "rack.hijack?" => true, "rack.hijack" => -> { Sink.new(socket) } }
      callbacks = Callbacks.new
      ThreadedProxy.fetch(@origin_url, env, @options, callbacks, &@configure).call
      raise callbacks.unhandled if callbacks.unhandled
    end
  end

  # For controllers of Rails.
  module Controller
    include Rack::StreamingProxy::Controller

    private

    # As {Rack::StreamingProxy::Controller#proxy_fetch}, with the options in a Hash.
    #
    # @param origin_url [String, URI]
    # @param options [Hash{Symbol => Object}]
    # @yieldparam config [Callbacks]
    def proxy_fetch(origin_url, options = {}, &configure)
      refuse_second_answer
      pass_on ThreadedProxy.fetch(origin_url, request.env, options, &configure).call
    end

    # The options that send the client's body on.
    #
    # @return [Hash{Symbol => Object}]
    # @raise [RuntimeError] if it is not known where the body ends
    def proxy_options_from_request
      env = request.env
      headers = if env["HTTP_TRANSFER_ENCODING"] == "chunked"
                  { "Transfer-Encoding" => "chunked" }
                elsif env["CONTENT_LENGTH"]
                  { "content-length" => env["CONTENT_LENGTH"].to_s }
                else
                  raise "Cannot proxy a non-chunked POST request without content-length"
                end
      headers["Content-Type"] = env["CONTENT_TYPE"] if env["CONTENT_TYPE"]
      { headers:, body: request.body_stream }
    end
  end
end
