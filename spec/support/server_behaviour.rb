# frozen_string_literal: true

# The subjects of spec/servers/behaviour, in the order of the README's table.
module ServerBehaviour
  SUBJECTS = ["streaming", "truncation", "bodies", "headers", "HTTP/1.0", "uploads",
              "leaving clients", "delivery", "early", "upgrades", "shutdown", "restarts",
              "engine's streams", "load", "middleware outside", "instrumentation"].freeze
  # What holds of the settings `delivery: :hijack` and `:auto` as well, where they differ.
  HIJACKED = ["streaming", "truncation", "bodies", "headers", "HTTP/1.0", "uploads",
              "leaving clients", "middleware outside", "instrumentation"].freeze
  AUTOMATIC = %w[streaming truncation bodies].freeze

  # @param profile [ServerProfile]
  # @return [Hash{Symbol => Array<String>}] subjects by values of the setting `delivery`
  def self.deliveries(profile)
    profile.can?(:hijack) ? { hijack: HIJACKED, auto: AUTOMATIC } : { hijack: ["streaming"] }
  end
end
