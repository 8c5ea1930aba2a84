# frozen_string_literal: true

require "open3"
require "rbconfig"
require "yaml"
require_relative "server_profile"
require_relative "server_results"

# What README.md and docs/servers.md say of the servers: written from what the examples of
# spec/servers have shown on each release (docs/servers.yml, which ServerRun writes), with limits in
# the words of the profiles.
class ServerTable
  ROOT = File.expand_path("../..", __dir__)
  RESULTS = File.join(ROOT, "docs/servers.yml")
  # Of each file what is between its marks.
  FILES = { "README.md" => :table, "docs/servers.md" => :limits }.freeze
  MARKED = /(?<=<!-- written by `rake servers` -->\n).*(?=<!-- end -->)/m
  LIMIT = "[limited](docs/servers.md#limits)"

  # @return [Hash] of the same form as ServerResults', found without running the examples
  def self.declared
    output, status = Open3.capture2e(RbConfig.ruby, "-S", "rspec", "spec/servers", "--dry-run",
                                     "--format", "ServerResults", chdir: ROOT)
    raise "rspec --dry-run failed:\n#{output}" unless status.success?

    ServerResults.in(output).first
  end

  # @param title [String] of a section
  # @return [String] how a link names it
  def self.anchor(title)
    title.downcase.gsub(/[^a-z0-9 -]/, "").tr(" ", "-")
  end

  # @param declared [Hash] what the profiles say
  # @param results [Hash] by server and release, its version and the state of each feature
  # @param releases [Hash{String => Hash}] what each has
  def initialize(declared: self.class.declared, results: YAML.load_file(RESULTS),
                 releases: YAML.load_file(File.join(ROOT, "dev/matrix/releases.yml")))
    @release = declared["release"]
    @servers = declared["servers"].sort_by { |_, one| one["name"].downcase }.to_h
    @results = results
    @releases = releases
  end

  # @return [Array<String>] where the results are not what the profiles say
  def problems
    @servers.flat_map do |kind, one|
      missing = @releases.select { |_, has| has.key?(one["package"]) }.keys - results(kind).keys
      missing.map { |release| "no results of #{one["name"]} on #{release}" } +
        results(kind).flat_map { |release, result| differences(one, release, result["features"]) }
    end
  end

  # @return [String] for README.md
  def table
    rows = [["", *@servers.values.map { |one| "[#{one["name"]}](#{link(one)})" }],
            ["---"] * (@servers.size + 1), ["tested", *@servers.keys.map { |kind| versions(kind) }],
            *ServerProfile::FEATURES.map { |feature, text| [text, *cells(feature.to_s)] }]
    rows.map { |row| "| #{row.join(" | ")} |\n" }.join
  end

  # @return [String] for docs/servers.md
  def limits
    @servers.map do |kind, one|
      lines = ServerProfile::FEATURES.transform_keys(&:to_s).slice(*one["limits"].keys)
                                     .map { |key, text| "- #{text}: #{one["limits"][key]}\n" }
      "**#{one["name"]}** (#{versions(kind)})\n\n#{lines.empty? ? "- none\n" : lines.join}"
    end.join("\n")
  end

  # @return [String] what the file's text is to be
  def text_of(file)
    text = File.read(File.join(ROOT, file))
    text.match?(MARKED) or raise "#{file} has no marks"
    text.sub(MARKED) { public_send(FILES.fetch(file)) }
  end

  # Writes what is between the marks of the files.
  def write
    FILES.each_key { |file| File.write(File.join(ROOT, file), text_of(file)) }
  end

  private

  def results(kind)
    @results.fetch(kind, {})
  end

  # This system's profile says exactly what its results are to be; of others it may leave it open.
  def differences(one, release, shown)
    one["possible"].filter_map do |feature, possible|
      possible = [one["features"][feature]] if release == @release && one["version"]
      next if possible.include?(shown[feature])

      "#{one["name"]} on #{release}: #{feature} is #{shown[feature].inspect}, " \
        "not #{possible.join(" or ")}"
    end
  end

  def link(one)
    "docs/servers.md##{self.class.anchor(one["name"])}"
  end

  def versions(kind)
    results(kind).values.map { |result| result["version"] }.uniq.join(", ")
  end

  def cells(feature)
    @servers.keys.map do |kind|
      states = results(kind).values.map { |result| result["features"][feature] }.uniq
      next "no" if states.empty? || states.difference(%w[yes limited partly]).any?

      states == ["yes"] ? "yes" : LIMIT
    end
  end
end
