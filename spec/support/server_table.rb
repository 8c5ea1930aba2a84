# frozen_string_literal: true

require "json"
require "open3"
require "rbconfig"
require "tempfile"
require "yaml"
require_relative "server_profile"

# What README.md and docs/servers.md say of the servers: written from the profiles of spec/servers,
# whose examples show each feature or its limit, and the versions of dev/matrix/releases.yml.
class ServerTable
  ROOT = File.expand_path("../..", __dir__)
  # Of each file what is between its marks.
  FILES = { "README.md" => :table, "docs/servers.md" => :limits }.freeze
  MARKED = /(?<=<!-- written by `rake servers` -->\n).*(?=<!-- end -->)/m

  # @return [Array<Hash>] what ServerList tells, found without running the examples
  def self.servers
    Tempfile.create("servers") do |file|
      output, status = Open3.capture2e(RbConfig.ruby, "-S", "rspec", "spec/servers", "--dry-run",
                                       "--format", "ServerList", "--out", file.path, chdir: ROOT)
      raise "rspec --dry-run failed:\n#{output}" unless status.success?

      JSON.parse(file.read, symbolize_names: true)
    end
  end

  # @param title [String] of a section
  # @return [String] how a link names it
  def self.anchor(title)
    title.downcase.gsub(/[^a-z0-9 -]/, "").tr(" ", "-")
  end

  # @param releases [Hash{String => Hash}]
  def initialize(servers: self.class.servers,
                 releases: YAML.load_file(File.join(ROOT, "dev/matrix/releases.yml")))
    @servers = servers
    @releases = releases
  end

  # @return [Array<String>] features that no example of an installed server shows
  def problems
    @servers.select { |one| one[:installed] }.flat_map do |one|
      missing = ServerProfile::FEATURES.keys.map(&:to_s) - one[:shown]
      missing.map { |feature| "no example of #{one[:name]} shows #{feature}" }
    end
  end

  # @return [String] for README.md
  def table
    rows = [["", *@servers.map { |one| "[#{one[:name]}](#{link(one)})" }],
            ["---"] * (@servers.size + 1), ["tested", *@servers.map { |one| versions(one) }],
            *ServerProfile::FEATURES.map { |feature, text| [text, *cells(feature)] }]
    rows.map { |row| "| #{row.join(" | ")} |\n" }.join
  end

  # @return [String] for docs/servers.md
  def limits
    @servers.map do |one|
      lines = ServerProfile::FEATURES.slice(*one[:limits].keys).map do |feature, text|
        "- #{text}: #{one[:limits][feature]}\n"
      end
      "**#{one[:name]}** (#{versions(one)})\n\n#{lines.empty? ? "- none\n" : lines.join}"
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

  def link(one)
    "docs/servers.md##{self.class.anchor(one[:name])}"
  end

  def versions(one)
    @releases.values.filter_map { |release| version_in(release, one[:packages]) }.uniq.join(", ")
  end

  # With their names, if the server is known by other gems than its own.
  def version_in(release, packages)
    return release[packages.first] if packages.one?

    packages.map { |name| "#{name} #{release.fetch(name)}" }.join(" with ") if
      packages.all? { |name| release.key?(name) }
  end

  def cells(feature)
    @servers.map do |one|
      one[:limits].key?(feature) ? "[limited](docs/servers.md#limits)" : "yes"
    end
  end
end
