# frozen_string_literal: true

require "json"
require "rspec/core"

# An RSpec formatter: the examples that name behaviours, as JSON.
class ExampleList
  RSpec::Core::Formatters.register self, :stop

  def initialize(output)
    @output = output
  end

  def stop(notification)
    examples = notification.examples.select { |example| example.metadata[:id] }
    @output.write(JSON.generate(examples.sort_by { |one| place(one) }.map { |one| row(one) }))
  end

  private

  # Examples come in random order.
  def place(example)
    [file(example), example.metadata[:line_number], example.full_description]
  end

  def row(example)
    [Array(example.metadata[:id]), file(example), description(example)]
  end

  # Without the outermost group's, which is the file's subject.
  def description(example)
    subject = example.example_group.parent_groups.last.description
    example.full_description.delete_prefix(subject).strip
  end

  def file(example)
    example.file_path.delete_prefix("./")
  end
end
