# frozen_string_literal: true

require "json"
require "rspec/core"
require_relative "server_profile"

# An RSpec formatter: the profiles of spec/servers and the features that examples show, as JSON.
class ServerList
  RSpec::Core::Formatters.register self, :stop

  def initialize(output)
    @output = output
  end

  def stop(notification)
    shown = notification.examples.map { |one| one.metadata.values_at(:server, :feature) }.uniq
    rows = ServerProfile.all.values.sort_by { |profile| profile.name.downcase }.map do |profile|
      row(profile, shown.filter_map { |kind, feature| feature if kind == profile.kind })
    end
    @output.write(JSON.generate(rows))
  end

  private

  def row(profile, shown)
    { name: profile.name, packages: profile.server.packages, installed: profile.installed?,
      limits: profile.limits.transform_values(&:text), shown: }
  end
end
