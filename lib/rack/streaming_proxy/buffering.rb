# frozen_string_literal: true

require_relative "notice"

module Rack
  module StreamingProxy
    # Notices that Rack 2's Rack::ETag or Rack::ContentLength, outside the proxy, collects a whole
    # response before the first byte of it is sent, and says so once in each process. Rack 3's do
    # not.
    # @api private
    module Buffering
      CULPRITS = {
        "rack/etag.rb" => "Rack::ETag", "rack/content_length.rb" => "Rack::ContentLength"
      }.freeze
      IN_RAILS = "config.middleware.insert_before Rack::Head, Rack::StreamingProxy::Proxy"
      IN_RACKUP = "`use Rack::StreamingProxy::Proxy` above it in config.ru, and start the server " \
                  "itself (puma, unicorn) rather than rackup, which adds Rack::ContentLength"
      private_constant :CULPRITS, :IN_RAILS, :IN_RACKUP

      # Looks at the callers of the first `each` that could be collected.
      #
      # @param response [Response]
      # @param log [#warn]
      def self.notice(response, log)
        return if RackHeaders::RACK3 || !(response.length.nil? || response.digestible?)

        Notice.once(:buffering, log) do
          culprit = caller_locations.lazy.filter_map { |location| culprit(location) }.first
          advice(culprit) if culprit
        end
      end

      def self.culprit(location)
        path = location.path.to_s
        CULPRITS.find { |file, _name| path.end_with?(file) }&.last
      end

      def self.advice(culprit)
        place = defined?(::Rails) ? IN_RAILS : IN_RACKUP
        "#{culprit} stands outside the proxy and collects each response before it is sent: " \
          "nothing streams. Insert the proxy outside it: #{place}"
      end
      private_class_method :culprit, :advice
    end
  end
end
