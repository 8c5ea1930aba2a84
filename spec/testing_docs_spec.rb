# frozen_string_literal: true

# Every example of docs/testing.md is a file, which is run as its readers would.
RSpec.describe "docs/testing.md" do
  page = File.read(File.join(RubyProcess::ROOT, "docs/testing.md"))
  files = page.scan(/^```ruby\n(# (\S+)\n.*?)^```$/m).to_h { |text, path| [path, text] }

  define_method(:write) do |directory|
    files.each do |path, text|
      FileUtils.mkdir_p(File.dirname(File.join(directory, path)))
      File.write(File.join(directory, path), text)
    end
  end

  def run(directory, *arguments)
    process = keep(RubyProcess.new(*arguments, directory:))
    status = process.wait(within: 50)
    process.output.ended?(within: 20)
    [status, process.output.to_s]
  end

  it "has no example that is not a file" do
    expect(page.scan(/^```\w+$/).size).to eq(files.size)
  end

  files.keys.grep(%r{\Aspec/}).each do |path|
    it "has a #{path} that passes" do
      Dir.mktmpdir do |directory|
        write(directory)
        status, output = run(directory, "-S", "rspec", "--no-color", path)
        count = files.fetch(path).scan(/^ +it /).size
        expect(output).to match(/^#{count} examples?, 0 failures$/)
        expect(status).to be_success
      end
    end
  end

  def expect_minitest(output, tests)
    expect(output).to match(/^#{tests} runs, [1-9]\d* assertions, 0 failures, 0 errors, 0 skips$/)
  end

  it "has a test/files_test.rb that passes" do
    Dir.mktmpdir do |directory|
      write(directory)
      status, output = run(directory, "test/files_test.rb")
      expect_minitest(output, 2)
      expect(status).to be_success
    end
  end

  it "has a test of a Rails application that passes" do
    initializer = files.fetch("config/initializers/streaming_proxy.rb")
    application = keep(RailsApplication.new(initializer))
    write(application.directory)
    status, output = run(application.directory, "-Itest", "test/integration/search_test.rb")
    expect_minitest(output, 2)
    expect(status).to be_success
  end
end
