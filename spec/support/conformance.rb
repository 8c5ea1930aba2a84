# frozen_string_literal: true

require "yaml"
require_relative "named_tests"

# docs/conformance.md: what is asked of a strict reverse proxy (docs/conformance.yml), beside the
# tests that name it.
class Conformance
  PAGE = File.join(NamedTests::ROOT, "docs/conformance.md")
  BEHAVIOURS = File.join(NamedTests::ROOT, "docs/conformance.yml")
  # Descriptions that are written out for each file of an ID; a table may make hundreds of examples.
  WRITTEN_OUT = 3
  INTRODUCTION = <<~TEXT
    # Conformance

    What is asked of a strict reverse proxy, where that comes from, and the tests that show it. U is the
    upstream, C the client; "ours" marks what this gem decides otherwise than its sources. Written by
    `rake conformance` from [conformance.yml](conformance.yml) and the tests' own metadata: change those.
  TEXT

  # @param sections [Hash] what docs/conformance.yml holds
  # @param tests [Array<NamedTests::Test>]
  def initialize(sections: YAML.load_file(BEHAVIOURS), tests: NamedTests.all)
    @sections = sections
    @tests = Hash.new([].freeze)
    tests.each { |test| test.ids.each { |id| @tests[id] += [test] } }
  end

  # @return [Array<String>] what is wrong between behaviours and tests
  def problems
    behaviours.filter_map { |id, one| problem(id, one) } +
      @tests.except(*behaviours.keys).map do |id, tests|
        "#{id} is unknown, but named in #{tests.map(&:file).uniq.join(", ")}"
      end
  end

  # @return [String]
  def page
    [INTRODUCTION, *@sections.map { |number, section| table(number, section) }].join("\n")
  end

  # Writes the page.
  def write
    File.write(PAGE, page)
  end

  private

  def behaviours
    @behaviours ||= @sections.values.map { |section| section["behaviours"] }.reduce(:merge)
  end

  def problem(id, one)
    case [@tests.key?(id), one.key?("not_applicable")]
    when [false, false] then "#{id} has neither a test nor a reason (not_applicable)"
    when [true, true] then "#{id} is not applicable, but tested (say `except`)"
    end
  end

  def table(number, section)
    rows = section["behaviours"].map do |id, one|
      "| #{id} | #{escape(one["statement"])} | #{escape(one["source"])} | #{proof(id, one)} |\n"
    end
    "## #{number} #{section["title"]}\n\n| ID | statement | source | tests |\n" \
      "| --- | --- | --- | --- |\n#{rows.join}"
  end

  def proof(id, one)
    lines = @tests[id].group_by(&:file).map { |file, tests| "`#{file}`: #{described(tests)}" }
    lines << "Not applicable: #{escape(one["not_applicable"])}" if one["not_applicable"]
    lines << "Except: #{escape(one["except"])}" if one["except"]
    lines.join("<br>")
  end

  def described(tests)
    texts = tests.map(&:description).uniq
    more = texts.size - WRITTEN_OUT
    texts = [*texts.first(WRITTEN_OUT), "and #{more} more"] if more.positive?
    texts.map { |text| escape(text) }.join("; ")
  end

  # Text as it may stand in a cell.
  def escape(text)
    text.gsub(/\s+/, " ").gsub("|", "\\|").gsub("<", "&lt;")
  end
end
