# frozen_string_literal: true

require_relative "client_request"
require_relative "forwarder"

module Rack
  module StreamingProxy
    # The middleware. Its block (or a subclass's {#destination_uri}) gets each request and says
    # where it goes; the upstream's response is streamed back. One object serves all threads and
    # keeps nothing of a request.
    #
    # @example
    #   use Rack::StreamingProxy::Proxy do |request|
    #     "http://search.internal#{request.fullpath}" if request.path.start_with?("/search")
    #   end
    class Proxy
      class << self
        # Every setting has a reader and a writer on the class, which subclasses inherit; the README
        # says what each means. A writer raises {ConfigurationError}.
        #
        # @!attribute [rw] logger
        #   @return [Object, nil]
        # @!attribute [rw] log_verbosity
        #   @return [Symbol]
        # @!attribute [rw] num_retries_on_5xx
        #   @return [Integer]
        # @!attribute [rw] retry_delay
        #   @return [Numeric] seconds
        # @!attribute [rw] raise_on_5xx
        #   @return [Boolean]
        # @!attribute [rw] raise_on_error
        #   @return [Boolean]
        # @!attribute [rw] headers
        #   @return [Hash]
        # @!attribute [rw] preserve_host
        #   @return [Boolean]
        # @!attribute [rw] x_forwarded
        #   @return [Symbol]
        # @!attribute [rw] via
        #   @return [Boolean]
        # @!attribute [rw] max_hops
        #   @return [Integer]
        # @!attribute [rw] trust_upstream
        #   @return [Boolean]
        # @!attribute [rw] connect_timeout
        #   @return [Numeric, nil] seconds
        # @!attribute [rw] timeout
        #   @return [Numeric, nil] seconds
        # @!attribute [rw] idle_timeout
        #   @return [Numeric, nil] seconds
        # @!attribute [rw] total_timeout
        #   @return [Numeric, nil] seconds
        # @!attribute [rw] verify_ssl
        #   @return [Boolean]
        # @!attribute [rw] ca_file
        #   @return [String, nil]
        # @!attribute [rw] tls_sni
        #   @return [Boolean, String]
        # @!attribute [rw] client_cert
        #   @return [String, nil]
        # @!attribute [rw] client_key
        #   @return [String, nil]
        # @!attribute [rw] min_tls_version
        #   @return [String, Symbol]
        # @!attribute [rw] http2
        #   @return [Symbol]
        # @!attribute [rw] socket
        #   @return [String, nil]
        # @!attribute [rw] max_idle_connections
        #   @return [Integer]
        # @!attribute [rw] idle_connection_timeout
        #   @return [Numeric] seconds
        # @!attribute [rw] max_connections
        #   @return [Integer]
        # @!attribute [rw] connection_wait
        #   @return [Numeric] seconds
        # @!attribute [rw] max_waiting_requests
        #   @return [Integer]
        # @!attribute [rw] max_connection_age
        #   @return [Numeric, nil] seconds
        # @!attribute [rw] max_connection_requests
        #   @return [Integer, nil]
        # @!attribute [rw] max_request_body
        #   @return [Integer, nil] bytes
        # @!attribute [rw] max_response_body
        #   @return [Integer, nil] bytes
        # @!attribute [rw] max_headers
        #   @return [Integer]
        # @!attribute [rw] max_header_bytes
        #   @return [Integer] bytes
        # @!attribute [rw] max_interim_responses
        #   @return [Integer]
        # @!attribute [rw] allow_destinations
        #   @return [Symbol, String, Array, #call]
        # @!attribute [rw] allow_trace
        #   @return [Boolean]
        # @!attribute [rw] delivery
        #   @return [Symbol]
        # @!attribute [rw] auto_hijack_above
        #   @return [Integer] bytes
        # @!attribute [rw] send_timeout
        #   @return [Numeric, nil] seconds
        # @!attribute [rw] drain_timeout
        #   @return [Numeric] seconds
        # @!attribute [rw] allow_upgrade
        #   @return [Boolean, Array<String>]
        # @!attribute [rw] tunnel_timeout
        #   @return [Numeric, nil] seconds
        # @!attribute [rw] min_send_rate
        #   @return [Integer, nil] bytes a second
        # @!attribute [rw] max_streams
        #   @return [Integer, nil]
        # @!attribute [rw] on_request
        #   @return [#call, nil]
        # @!attribute [rw] on_complete
        #   @return [#call, nil]
        Settings::ALL.each_key do |name|
          define_method(name) { Configuration.merge(*layers).fetch(name) }
          define_method(:"#{name}=") { |value| set(name, value) }
        end

        # @return [Array<Hash{Symbol => Object}>] the settings of this class, the most general first
        # @api private
        def layers
          inherited = self == Proxy ? [Configuration.rails] : superclass.layers
          inherited + [@settings || {}]
        end

        private

        def set(name, value)
          checked = Configuration.check(name => value)
          @settings = (@settings || {}).merge(checked).freeze
          Configuration.touch
        end
      end

      # @param app [#call] gets the requests for which the block returns nil or false
      # @param options [Hash{Symbol => Object}] settings; they win over the class's
      # @yieldparam request [Rack::Request]
      # @yieldreturn [String, URI, Target, nil, false] where the request goes
      # @raise [ConfigurationError] for an unknown or malformed setting, or without a block
      def initialize(app, **options, &block)
        refuse_other_ractors
        @app = app
        @options = Configuration.check(options)
        @block = block
        # In a holder of its own, as Rack::Builder may freeze the middleware.
        @merged = [[nil, nil]]
        return if block || method(:destination_uri).owner != Proxy

        raise ConfigurationError, "#{self.class} needs a block that returns the URL to ask, or a " \
                                  "subclass that overrides destination_uri(request)"
      end

      # Answers a request; blocks until the upstream's head is here.
      #
      # @param env [Hash]
      # @return [Array(Integer, Hash, #each)]
      # @raise [ConfigurationError] if the block returns what is no URL
      # @raise [HttpServerError] under `raise_on_5xx`
      # @raise [UpstreamError, RequestError] under `raise_on_error`
      def call(env)
        rack_request = ClientRequest.new(env)
        target = Target.wrap(destination_uri(rack_request))
        return @app.call(env) unless target

        Forwarder.new(target, rack_request, configuration.with(target.options)).call
      end

      # @return [String] without the settings, which may hold secrets
      def inspect = "#<#{self.class}>"

      # Where a request goes. Subclasses may override it instead of giving a block.
      #
      # @param request [Rack::Request]
      # @return [String, URI, Target, nil, false] nil or false: to the application inside
      def destination_uri(request)
        @block.call(request)
      rescue LocalJumpError => e
        # `return` in a block whose method has returned.
        raise unless e.reason == :return

        e.exit_value
      end

      private

      # The extension is not declared safe: its methods raise a Ractor::UnsafeError there.
      def refuse_other_ractors
        return if Ractor.current.equal?(Ractor.main)

        raise ConfigurationError, "Rack::StreamingProxy serves the main Ractor only"
      end

      # The settings in force, merged anew after an accessor has changed. Two threads may both
      # merge: the results are equal.
      def configuration
        version, configuration = @merged.first
        return configuration if version == Configuration.version

        version = Configuration.version
        configuration = Configuration.new(*self.class.layers, @options)
        @merged[0] = [version, configuration].freeze
        configuration
      end
    end
  end
end
