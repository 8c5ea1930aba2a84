# frozen_string_literal: true

module Rack
  module StreamingProxy
    # Proxying one request from any Rack code, without the middleware: its settings are those of
    # {Proxy}, with the options of the call on top.
    # @api private
    module Forward
      # Different options of which the merged settings are kept.
      MOST = 64
      private_constant :MOST

      # The version of the layers below, and what has been merged with these; replaced as a whole.
      @merged = [nil, {}.freeze].freeze

      class << self
        # @param env [Hash]
        # @param to [String, URI, Target]
        # @param options [Hash{Symbol => Object}] settings
        # @return [Array(Integer, Hash, #each)]
        def call(env, to, options)
          settings = configuration(options)
          target = Target.wrap(to) || refuse(to)
          Forwarder.new(target, ClientRequest.new(env), settings.with(target.options)).call
        end

        private

        # Two threads may both merge: the results are equal.
        def configuration(options)
          version = Configuration.version
          merged_with, merged = @merged
          merged = {} unless merged_with == version
          merged[options] || keep(version, merged, Configuration.check(options))
        end

        # The longest known give way.
        def keep(version, merged, options)
          configuration = Configuration.new(*Proxy.layers, options)
          merged = merged.drop(1).to_h if merged.size >= MOST
          @merged = [version, merged.merge(options => configuration).freeze].freeze
          configuration
        end

        def refuse(target)
          raise ConfigurationError, "to: takes a String, a URI or a Target, not #{target.inspect}"
        end
      end
    end
  end
end
