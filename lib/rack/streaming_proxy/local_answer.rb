# frozen_string_literal: true

module Rack
  module StreamingProxy
    # Requests that go no further than here: CONNECT, TRACE where it is not allowed, and TRACE and
    # OPTIONS whose Max-Forwards is used up (RFC 9110 section 7.6.2).
    # @api private
    module LocalAnswer
      METHODS = %w[GET HEAD POST PUT PATCH DELETE OPTIONS TRACE].freeze
      # What a trace of the way is read for. Which other fields are secrets only their owners know,
      # so none of them is reflected (RFC 9110 section 9.3.8).
      REFLECTED = { "HTTP_HOST" => "Host", "HTTP_VIA" => "Via",
                    "HTTP_MAX_FORWARDS" => "Max-Forwards" }.freeze
      private_constant :METHODS, :REFLECTED

      # @param request [Request]
      # @param settings [Configuration]
      # @return [Array(Integer, Hash, Array<String>), nil] nil for a request that is to be sent
      def self.to(request, settings)
        trace = request.http_method == "TRACE"
        return method_not_allowed(settings) if trace && !settings.allow_trace
        return unless request.max_forwards&.zero?

        trace ? reflection(request) : [200, RackHeaders.from([allow(settings)], 0), []]
      end

      # @param settings [Configuration]
      # @return [Array(Integer, Hash, Array<String>)] also for CONNECT: a tunnel is not what a
      #   reverse proxy offers (RFC 9110 section 9.3.6)
      def self.method_not_allowed(settings)
        ErrorResponse.plain(405, [allow(settings)])
      end

      def self.allow(settings)
        methods = settings.allow_trace ? METHODS : METHODS - ["TRACE"]
        ["allow", methods.join(", ")]
      end
      private_class_method :allow

      def self.reflection(request)
        env = request.env
        line = "TRACE #{env["REQUEST_URI"] || env["PATH_INFO"]} HTTP/#{request.http_version}\r\n"
        lines = REFLECTED.filter_map { |key, name| "#{name}: #{env[key]}\r\n" if env[key] }
        text = "#{[line, *lines].map(&:b).join}\r\n"
        [200, RackHeaders.from([%w[content-type message/http]], text.bytesize), [text]]
      end
      private_class_method :reflection
    end
  end
end
