# frozen_string_literal: true

require_relative "notice"

module Rack
  module StreamingProxy
    # Which of the protocols that a client wants to change to (RFC 9110 section 7.8) its upstream is
    # asked for: none but where the server can hand the connection over.
    # @api private
    module UpgradeField
      # @param request [Request]
      # @param server [Server::Generic]
      # @param settings [Configuration]
      # @param log [#warn]
      # @return [String, nil] as the field Upgrade has it; nil: the request goes up without it
      def self.asked(request, server, settings, log)
        return if request.input.kind || request.http_version != "1.1" || settings.http2 == :always

        protocols = listed(server).select { |protocol| allowed?(protocol, settings.allow_upgrade) }
        return if protocols.empty?

        server.full_hijack? ? protocols.join(", ") : notice(server, log)
      end

      def self.listed(server)
        server.upgrade.to_s.b.split(",").map(&:strip).grep(SettingChecks::PROTOCOL)
      end

      def self.allowed?(protocol, allow)
        return allow unless allow.is_a?(Array)

        name, = protocol.split("/")
        allow.any? { |one| one.casecmp?(protocol) || one.casecmp?(name) }
      end

      # Says once in each process why upgrades do not come about.
      def self.notice(server, log)
        Notice.once(:upgrade, log) do
          "#{server.class.name[/\w+\z/]} does not hand this client's connection over: " \
            "requests go to their upstreams without Upgrade"
        end
        nil
      end
      private_class_method :listed, :allowed?, :notice
    end
  end
end
