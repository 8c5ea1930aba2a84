# frozen_string_literal: true

require "json"
require "open3"
require "rbconfig"
require "tempfile"

# The tests that name behaviours by ID, found without running them: RSpec examples by their metadata
# (`id: "HH1"` or a list), Rust tests by prefixes of their names (`hh1_`, `hh1_hh3_`).
module NamedTests
  # @!attribute ids [Array<String>]
  # @!attribute file [String] from the checkout
  # @!attribute description [String]
  Test = Struct.new(:ids, :file, :description)

  ROOT = File.expand_path("../..", __dir__)
  RUST = "ext/engine/{src,tests}/**/*.rs"
  FAMILIES = %w[hh fw rq rs st ws cn to rt bl ss lb hc cb ob sd].freeze
  RUST_TEST = /^\s*#\[(?:tokio::)?test\b[^\n]*\]\n(?:\s*#\[[^\n]*\]\n)*\s*(?:async )?fn (\w+)/
  PREFIX = /\A(?:(?:#{FAMILIES.join("|")})\d+_)+/

  class << self
    # @return [Array<Test>] by file, and in the file's order
    def all
      examples + rust
    end

    # @return [Array<Test>]
    def examples
      Tempfile.create("examples") do |file|
        output, status = Open3.capture2e(RbConfig.ruby, "-S", "rspec", "--dry-run", "--format",
                                         "ExampleList", "--out", file.path, chdir: ROOT)
        raise "rspec --dry-run failed:\n#{output}" unless status.success?

        JSON.parse(file.read).map { |example| Test.new(*example) }
      end
    end

    # @return [Array<Test>]
    def rust
      files = Dir.glob(RUST, base: ROOT).sort
      files.flat_map { |file| in_rust(file, File.read(File.join(ROOT, file))) }
    end

    # @return [Array<Test>] of a file with this text
    def in_rust(file, text)
      text.scan(RUST_TEST).flatten.filter_map do |name|
        ids = name[PREFIX] or next
        description = name.delete_prefix(ids).tr("_", " ")
        Test.new(ids.upcase.split("_"), file, description)
      end
    end
  end
end
