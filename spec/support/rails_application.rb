# frozen_string_literal: true

require "tmpdir"
require "fileutils"

# A copy of the Rails application in spec/rails, with an initializer of the spec's choice.
class RailsApplication
  SOURCE = File.expand_path("../rails/application", __dir__)
  INITIALIZER = "config/initializers/streaming_proxy.rb"

  attr_reader :directory

  # @param initializer [String, nil] text of config/initializers/streaming_proxy.rb
  # @param files [Hash{String => String}] further files, by their paths in the application
  def initialize(initializer = nil, files: {})
    @directory = Dir.mktmpdir("streaming-proxy-rails")
    FileUtils.cp_r("#{SOURCE}/.", directory)
    write(INITIALIZER, initializer) if initializer
    files.each { |path, text| write(path, text) }
    age
  end

  def rackup
    path("config.ru")
  end

  def path(name)
    File.join(directory, name)
  end

  def write(name, text)
    FileUtils.mkdir_p(File.dirname(path(name)))
    File.write(path(name), text)
  end

  # Runs `bin/rails` as a user does.
  # @return [String] what it writes
  def rails(*arguments, env: {})
    process = RubyProcess.new("bin/rails", *arguments, directory:, env:)
    process.wait(within: 40) or raise "bin/rails #{arguments.join(" ")} did not end"
    process.output.ended?(within: 20)
    process.output.to_s
  ensure
    process&.stop(signal: "KILL")
  end

  def stop
    FileUtils.remove_entry(directory)
  end

  private

  # What is written later is newer for sure: by its time Rails notices that a file has changed.
  def age
    FileUtils.touch(Dir.glob("**/*", base: directory).map { |name| path(name) },
                    mtime: Time.now - 3600)
  end
end
