# frozen_string_literal: true

require "json"
require "rspec/core"
require_relative "server_profile"

# An RSpec formatter: what the examples of spec/servers have shown of each server on this system, as
# a line of JSON. A dry run, where all examples pass, tells what the profiles declare.
class ServerResults
  RSpec::Core::Formatters.register self, :stop

  LINE = /^results of servers: (.*)$/
  FAILED = "failed"
  NOT_RUN = "not run"

  # @param text [String] what a run printed
  # @return [Array<Hash{String => Object}>] the results in it
  def self.in(text)
    text.scan(LINE).flatten.map { |line| JSON.parse(line) }
  end

  def initialize(output)
    @output = output
  end

  def stop(notification)
    examples = notification.examples.group_by { |one| one.metadata.values_at(:server, :feature) }
    servers = ServerProfile.all.transform_values { |profile| row(profile, examples) }
    @output.puts("", "results of servers: #{JSON.generate(release:, servers:)}")
  end

  private

  def release
    File.read("/etc/os-release")[/^VERSION_CODENAME=(\w+)/, 1]
  end

  def row(profile, examples)
    features = ServerProfile::FEATURES.keys.to_h do |feature|
      [feature, state(profile, feature, examples.fetch([profile.kind, feature], []))]
    end
    { name: profile.name, package: profile.server.package,
      version: (version(profile.server) if profile.installed?), features:,
      limits: profile.limits.transform_values(&:text),
      possible: ServerProfile::FEATURES.keys.to_h { |one| [one, profile.possible_states(one)] } }
  end

  # With their names, if the server is known by other gems than its own.
  def version(server)
    return server.version.to_s if server.packages.one?

    server.packages.map { |name| "#{name} #{Installed.version(name)}" }.join(" with ")
  end

  def state(profile, feature, examples)
    results = examples.map { |example| example.execution_result.status }
    return FAILED if results.include?(:failed)

    results.include?(:passed) ? profile.state(feature) : NOT_RUN
  end
end
