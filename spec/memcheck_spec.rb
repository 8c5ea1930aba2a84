# frozen_string_literal: true

RSpec.describe "docs/memcheck.md" do
  page = File.read(File.join(RubyProcess::ROOT, "docs/memcheck.md"))
  command = File.join(RubyProcess::ROOT, "dev/memcheck/memcheck.rb")

  it "names a task that there is" do
    task = page[/^\$ rake (\w+)$/, 1]
    rakefile = File.read(File.join(RubyProcess::ROOT, "Rakefile"))
    expect(rakefile).to match(%r{^task #{task}\b.*\n  ruby "dev/memcheck/memcheck.rb"$})
  end

  it "names a command that finds nothing, or that valgrind is missing" do
    here = ENV.fetch("PATH").split(":").any? { |path| File.executable?("#{path}/valgrind") }
    process = keep(RubyProcess.new(command, "hints"))
    status = process.wait(within: 50)
    process.output.ended?(within: 20)
    expected = here ? "hints true\nmemcheck: clean\n" : "memcheck: valgrind is not installed\n"
    expect(process.output.to_s).to eq(expected)
    expect(status.success?).to be(here)
  end
end
