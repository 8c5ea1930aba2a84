# frozen_string_literal: true

require "English"
require "rbconfig"
require "rubygems/package"

RSpec.describe "The gem package", time_limit: 900, matrix: false do
  # Runs a command and gives its output; fails with the output when the command fails.
  def run(*command, **options)
    environment = RubyProcess::CLEAN.merge(options.delete(:env) || {})
    output = IO.popen(environment, command, err: %i[child out], **options, &:read)
    raise "#{command.join(" ")} failed:\n#{output[-4000..] || output}" unless $CHILD_STATUS.success?

    output
  end

  def gem_command(*arguments, **options)
    run(RbConfig.ruby, "-S", "gem", *arguments, **options)
  end

  before(:context) do
    @directory = Dir.mktmpdir("streaming-proxy-gem")
    @file = File.join(@directory, "built.gem")
    gem_command("build", "rack-streaming-proxy.gemspec", "-o", @file, chdir: RubyProcess::ROOT)
    @home = File.join(@directory, "home")
    gem_command("install", "--local", "--ignore-dependencies", "--no-document",
                "--install-dir", @home, @file)
    @installed = Dir[File.join(@home, "gems", "rack-streaming-proxy-*")].first
  end

  after(:context) { FileUtils.remove_entry(@directory) }

  it "holds the crates with their lock file, and no build products" do
    files = Gem::Package.new(@file).contents
    expect(files).to include("Cargo.toml", "Cargo.lock", "README.md", "LICENSE", "CHANGELOG.md",
                             "lib/rack-streaming-proxy.rb", "lib/rack/streaming_proxy.rb",
                             "ext/rack_streaming_proxy/extconf.rb", "ext/engine/src/lib.rs")
    expect(files.grep(%r{(\A|/)target/|\.so\z|\.gem\z|\Aspec/|/fuzz/})).to be_empty
  end

  { "rack/streaming_proxy" => "by its path", "rack-streaming-proxy" => "by its name" }
    .each do |name, how|
    it "can be required #{how} when installed" do
      output = run(RbConfig.ruby, "-e",
                   <<~RUBY, env: { "GEM_PATH" => [@home, *Gem.path].join(":") })
                     gem "rack-streaming-proxy", "3.0.0"
                     require #{name.inspect}
                     puts Rack::StreamingProxy::VERSION
                     puts $LOADED_FEATURES.grep(/rack_streaming_proxy\\.so/)
                   RUBY
      version, library = output.lines(chomp: true)
      expect(version).to eq("3.0.0")
      expect(library).to start_with(@home)
    end
  end

  it "proxies when installed" do
    upstream = serving { [200, {}, "through the installed gem"] }
    output = run(RbConfig.ruby, "-e", <<~RUBY, env: { "GEM_PATH" => [@home, *Gem.path].join(":") })
      require "rack-streaming-proxy"
      require "rack/mock"
      app = Rack::StreamingProxy::Proxy.new(proc {}, logger: Logger.new(nil)) { #{upstream.url.inspect} }
      app.call(Rack::MockRequest.env_for("/")).last.tap { |body| body.each { |text| print text } }.close
    RUBY
    expect(output).to eq("through the installed gem")
  end

  it "takes less than 10 MB installed, and leaves nothing of target/" do
    files = Dir[File.join(@home, "**", "*")].select { |path| File.file?(path) }
    expect(files.sum { |path| File.size(path) } - File.size(@file)).to be < 10_000_000
    # rb_sys leaves the directory, with a few notes of cargo's.
    left = files.grep(%r{/(?:target|deps|incremental)/})
    expect(left.sum { |path| File.size(path) }).to be < 10_000
    expect(@installed).not_to be_nil
  end
end
