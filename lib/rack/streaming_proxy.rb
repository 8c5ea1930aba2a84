# frozen_string_literal: true

require "rack"
require "socket"
require "stringio"
require "uri"

require_relative "streaming_proxy/version"
require_relative "streaming_proxy/errors"
require_relative "streaming_proxy/exchange_failure"
require_relative "streaming_proxy/native"
require_relative "streaming_proxy/setting_checks"
require_relative "streaming_proxy/settings"
require_relative "streaming_proxy/configuration"
require_relative "streaming_proxy/target"
require_relative "streaming_proxy/log"
require_relative "streaming_proxy/server"
require_relative "streaming_proxy/request"
require_relative "streaming_proxy/session"
require_relative "streaming_proxy/response"
require_relative "streaming_proxy/proxy"
require_relative "streaming_proxy/forward"
require_relative "streaming_proxy/fetch"
require_relative "streaming_proxy/controller"
require_relative "streaming_proxy/railtie" if defined?(Rails::Railtie)

# The gem rack's namespace, in which this library lives.
module Rack
  # A streaming reverse proxy inside a Rack application: {Proxy} is the middleware.
  module StreamingProxy
    # Seconds between polls of whether the last exchange has ended.
    POLL_INTERVAL = 0.01
    private_constant :POLL_INTERVAL

    # Passes a request on from any Rack code, and gives the answer that {Proxy} gives; blocks until
    # the upstream's head is here. For a framework's route, or an application of its own.
    #
    # @example
    #   run ->(env) { Rack::StreamingProxy.forward(env, to: "http://files.internal/a", timeout: 5) }
    # @param env [Hash] the request's
    # @param to [String, URI, Target] where it goes: the full URL, with its query if it has one
    # @param options [Hash{Symbol => Object}] settings; they win over {Proxy}'s accessors
    # @return [Array(Integer, Hash, #each)]
    # @raise [ConfigurationError] for an unknown or malformed setting, or what is no URL
    # @raise [HttpServerError] under `raise_on_5xx`
    # @raise [UpstreamError, RequestError] under `raise_on_error`
    def self.forward(env, to:, **options) = Forward.call(env, to, options)

    # What this process holds at this moment, and what it has done so far. The former returns to
    # zero; the latter only grows, and begins at zero in a forked child. Of the exchanges that were
    # `started`, each is one of `exchanges`, `finished`, `abandoned` and `errors`.
    #
    # @return [Hash{Symbol => Integer, Hash}] At this moment: `exchanges` (open requests),
    #   `streams` (responses that the engine writes to clients' sockets, or is about to),
    #   `connections` (to upstreams, idle ones included), `idle_connections`, `waiting_requests`
    #   (for a connection), `buffer_bytes` (that open exchanges hold outside Ruby's heap, or may
    #   come to hold; Ruby's garbage collector is told of them), `tasks` (of the engine).
    #   So far: `started` (exchanges), `finished` (whose response came whole), `abandoned` (closed
    #   before their end, or whose client left), `bytes_up` and `bytes_down` (of bodies), `errors`
    #   (failed exchanges, a Hash of class name and Integer; `BodyError` for those whose response
    #   was cut short, `RequestBodyError` for a body that was too large, too).
    def self.stats
      counts = Native::Client.stats
      failed = counts.delete(:failed)
      errors = ExchangeFailure.count_by_class(failed.merge(cut: counts.delete(:cut)))
      counts.merge(errors:)
    end

    # @return [Integer] Ruby threads that run callbacks of exchanges which have left the
    #   application's threads, and tell the log and subscribers of them
    def self.callback_threads = Reporters.threads

    # Sets it, before the first such exchange of a process. While callbacks block all of them, there
    # are more, up to 32.
    #
    # @param count [Integer]
    # @raise [ConfigurationError]
    def self.callback_threads=(count)
      Reporters.threads = count
    end

    # Waits until no exchange is open, and then stops the engine: idle connections are closed, its
    # threads end. The next request starts it anew. For a process that is to be forked after it has
    # served, and for one that is to end. Exchanges that begin meanwhile are waited for too.
    #
    # @param within [Numeric] seconds to wait at the most; 0 looks once
    # @return [Boolean] false if exchanges were still open then: they go on, and nothing was stopped
    # @raise [ArgumentError]
    def self.drain(within:)
      unless within.is_a?(Numeric) && within.real? && within >= 0
        raise ArgumentError, "within takes seconds, not #{within.inspect}"
      end

      wait(within) { Native::Client.stop }
    end

    # Ends, as the process's end does, the responses that the engine still writes to clients (see
    # the setting `delivery`): waits until they have ended or their `drain_timeout` has passed, cuts
    # the rest, and has all of them reported. May block as long. For servers that replace the
    # process by another program without ending it; of what is to be written afterwards nothing is.
    def self.shutdown = Shutdown.call

    # Waits for what the block asks; may block.
    #
    # @param seconds [Numeric] at the most; 0 looks once
    # @return [Boolean] whether it has come
    # @api private
    def self.wait(seconds)
      deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + seconds
      until yield
        left = deadline - Process.clock_gettime(Process::CLOCK_MONOTONIC)
        return false unless left.positive?

        sleep [left, POLL_INTERVAL].min
      end
      true
    end
  end
end
