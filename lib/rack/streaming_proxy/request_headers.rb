# frozen_string_literal: true

module Rack
  module StreamingProxy
    # What `on_request` is told: the header fields that a request is to be sent with, which it may
    # change. Host, Via, X-Forwarded-* and what the body's framing asks for come later.
    # @api private
    module RequestHeaders
      # Asks for a name without regard to case.
      HASH = RackHeaders::RACK3 ? Rack::Headers : Rack::Utils::HeaderHash
      # Those that `on_request` may not set it does not see either.
      HIDDEN = [*HeaderField::UNSETTABLE, "expect"].freeze
      private_constant :HASH, :HIDDEN

      # @param request [Request]
      # @param settings [Configuration]
      # @return [Configuration] these settings, with what `on_request` has changed
      # @raise [ConfigurationError] if that cannot be sent
      # @raise [StandardError] what `on_request` raises
      def self.told(request, settings)
        return settings unless settings.on_request

        before = by_name(request.fields + settings.headers.to_a).compact.except(*HIDDEN)
        headers = before.each_with_object(HASH.new) { |(name, value), all| all[name] = value }
        settings.on_request.call(headers)
        changes = changes(before, by_name(headers))
        Configuration.check_headers(changes, :on_request)
        settings.with(headers: settings.headers.merge(changes))
      end

      # The last one of a name wins. The values are frozen: what is changed is to be set anew.
      def self.by_name(fields)
        fields.to_h { |name, value| [name.to_s.downcase, value.is_a?(String) ? -value : value] }
      end

      def self.changes(before, after)
        cleared = (before.keys - after.keys).to_h { |name| [name, nil] }
        cleared.merge(after.reject { |name, value| before[name] == value })
      end
      private_class_method :by_name, :changes
    end
  end
end
