# frozen_string_literal: true

require "open3"
require "yaml"
require_relative "server_results"
require_relative "server_table"

# Runs spec/servers on the releases of bin/matrix and keeps the results in docs/servers.yml.
class ServerRun
  ROOT = File.expand_path("../..", __dir__)
  MATRIX = File.join(ROOT, "bin/matrix")
  HEAD = <<~TEXT
    # What the examples of spec/servers have shown of each server, by release of Debian: `rake servers` runs
    # them and writes this, the table of README.md and the limits of servers.md.
    #
    #   yes       the feature's examples have passed
    #   limited   those have passed that show its limit
    #   partly    both
  TEXT

  # @param path [String] of the file of results
  # @param output [IO] what the run prints goes there, too
  def initialize(path: ServerTable::RESULTS, output: $stdout)
    @path = path
    @output = output
  end

  # @param names [Array<String>] of releases; of others the results stay
  # @raise [RuntimeError] when an example has failed; what has run is kept all the same
  def call(*names, command: [MATRIX])
    text, status = run(*command, *names, "--", "spec/servers", "--format", "progress",
                       "--format", "ServerResults")
    keep(ServerResults.in(text))
    raise "spec/servers failed" unless status.success?
  end

  # @param found [Array<Hash>] results, of a release each
  def keep(found)
    kept = File.exist?(@path) ? YAML.load_file(@path) : {}
    found.each do |results|
      results["servers"].each { |kind, one| put(kept[kind] ||= {}, results["release"], one) }
    end
    File.write(@path, HEAD + YAML.dump(sorted(kept)).delete_prefix("---\n"))
  end

  private

  def run(*command)
    Open3.popen2e(*command) do |input, output, waiter|
      input.close
      text = output.each_line.map { |line| line.tap { @output.print(line) } }.join
      [text, waiter.value]
    end
  end

  def put(releases, release, one)
    releases.delete(release)
    releases[release] = one.slice("version", "features") if one["version"]
  end

  # By name, and each server's versions from old to new.
  def sorted(kept)
    kept.sort.to_h.transform_values do |releases|
      releases.sort_by { |_, one| Gem::Version.new(one["version"][/[\d.]+\z/]) }.to_h
    end
  end
end
