# frozen_string_literal: true

require "logger"

module Rack
  module StreamingProxy
    # The settings of one middleware, resolved: frozen, shared by all its requests.
    #
    # Layers are merged late, the later one winning: defaults, `config.streaming_proxy` in Rails,
    # {Proxy}'s and its subclasses' accessors, the middleware's keywords, the {Target}'s options.
    # Each layer is checked when it is given.
    class Configuration
      LONGEST = 200
      PATHS = %i[ca_file client_cert client_key socket].freeze
      private_constant :LONGEST, :PATHS

      class << self
        # @return [Object] another one whenever a class accessor or Rails' configuration has changed
        # @api private
        attr_reader :version

        # @return [Hash{Symbol => Object}] the settings from `config.streaming_proxy`
        attr_reader :rails

        # Takes the settings of `config.streaming_proxy`.
        #
        # @param settings [Hash{Symbol => Object}]
        # @raise [ConfigurationError]
        def rails=(settings)
          @rails = check(settings)
          touch
        end

        # @param layers [Array<Hash{Symbol => Object}>] checked settings, the last one winning
        # @return [Hash{Symbol => Object}] every setting, frozen
        # @api private
        def merge(*layers)
          settings = Settings::DEFAULTS.merge(*layers)
          settings[:logger] ||= default_logger
          settings.freeze
        end

        # Says that a layer has changed.
        # @api private
        def touch
          @version = Object.new
        end

        # @param settings [Hash{Symbol => Object}]
        # @return [Hash{Symbol => Object}] the same, frozen
        # @raise [ConfigurationError] for an unknown name or a value that will not do
        def check(settings)
          settings.each do |name, value|
            setting = Settings::ALL[name] || raise(ConfigurationError, unknown(name))
            next if setting.check.call(value)

            raise ConfigurationError,
                  "#{name}: #{readable(name, value)} will not do; it takes #{setting.takes}"
          end
          settings.to_h.transform_values { |value| kept(value) }.freeze
        end

        # @param headers [Hash{String => String, Array<String>, nil}]
        # @param given_by [Symbol] the setting that has brought them
        # @raise [ConfigurationError] for one that is not to be sent
        # @api private
        def check_headers(headers, given_by)
          return if Settings::ALL[:headers].check.call(headers)

          raise ConfigurationError, "#{given_by}: #{readable(:headers, headers)} will not do; it " \
                                    "takes #{Settings::ALL[:headers].takes}"
        end

        # @param value [Object] what somebody wrote
        # @return [String] the same for people, without credentials, in at most 200 bytes; of an
        #   object that may hold anything, its class
        def redact(value)
          case value
          when String then truncate(without_credentials(value).inspect)
          when Numeric, Symbol, Module, true, false, nil, {} then truncate(value.inspect)
          when Array then truncate("[#{value.map { |one| redact(one) }.join(", ")}]")
          else value.respond_to?(:to_str) ? redact(value.to_str) : "#<#{value.class}>"
          end
        end

        private

        # Whatever stands before the last "@" may be one, however the URL is malformed.
        def without_credentials(text)
          text = text.b.sub(%r{\A([a-z+.-]*:?/*)?.*@}im, "\\1[FILTERED]@")
          text.force_encoding("UTF-8").scrub("?")
        end

        def truncate(text)
          text.bytesize > LONGEST ? "#{text.byteslice(0, LONGEST - 3).scrub("")}..." : text
        end

        def default_logger
          rails = ::Rails.logger if defined?(::Rails) && ::Rails.respond_to?(:logger)
          rails || (@stdout ||= ::Logger.new($stdout))
        end

        # What is changed after it was given does not count.
        def kept(value)
          case value
          when Hash then value.to_h { |key, one| [kept(key), kept(one)] }.freeze
          when Array then value.map { |one| kept(one) }.freeze
          when String then value.dup.freeze
          else value
          end
        end

        def unknown(name)
          hint = Settings::ELSEWHERE[name.to_sym] if name.respond_to?(:to_sym)
          return "#{name} is no setting here: use #{hint}" if hint

          "#{redact(name)} is no setting; there are #{Settings::ALL.keys.join(", ")}"
        end

        # Of several, what is wrong. Header values may be secrets: only the name.
        def readable(name, value)
          case [name, value]
          in [:headers, Hash]
            wrong = value.find { |header, values| !SettingChecks.header?(header, values) }
            "the header #{redact(wrong.first)}"
          in [:allow_destinations, [_, *]]
            "the entry #{redact(value.reject(&SettingChecks::DESTINATION).first)}"
          else redact(value)
          end
        end
      end

      @version = Object.new
      @rails = {}.freeze

      # @return [Native::Policy] what the engine needs to know
      # @api private
      attr_reader :policy

      Settings::ALL.each_key do |name|
        define_method(name) { @settings.fetch(name) }
      end

      # @param layers [Array<Hash{Symbol => Object}>] checked settings, the last one winning
      # @raise [ConfigurationError] for settings that will not do together
      def initialize(*layers)
        @settings = self.class.merge(*layers)
        if @settings[:client_key] && !@settings[:client_cert]
          raise ConfigurationError, "client_key: there is no client_cert that it could fit"
        end

        @policy = Native::Policy.new(for_engine)
        freeze
      end

      # @return [String] without the settings, which may hold secrets
      def inspect = "#<#{self.class}>"

      # @return [Array(Float or nil, Float)] seconds for which a client may take nothing of what
      #   the engine writes to it, and for which that may go on when the process is to end
      # @api private
      def delivery_limits = [send_timeout&.to_f, drain_timeout.to_f]

      # @param options [Hash{Symbol => Object}] a {Target}'s
      # @return [Configuration] these settings with those on top
      def with(options)
        options.empty? ? self : Configuration.new(@settings, options)
      end

      private

      def for_engine
        paths = @settings.slice(*PATHS).transform_values { |path| path && ::File.expand_path(path) }
        version = @settings[:min_tls_version].to_s.sub("TLS1_", "1.")
        @settings.merge(paths, headers: header_lines, min_tls_version: version,
                               allow_destinations: destinations)
      end

      # nil: the engine is to ask.
      def destinations
        allowed = @settings[:allow_destinations]
        allowed.respond_to?(:call) ? nil : Array(allowed)
      end

      def header_lines
        @settings[:headers].map do |name, values|
          [name.to_s, values && Array(values).flat_map { |value| lines(value) }]
        end
      end

      # A value may hold several, as in Rack 2.
      def lines(value)
        value.empty? ? [value] : value.b.split("\n", -1)
      end
    end
  end
end
