# frozen_string_literal: true

require "fileutils"
require "open3"
require "rbconfig"

# Law 10: no panic crosses into Ruby. The extension is built once more with the cargo feature
# `test-panics`, which panics at the border, in an exchange's task and in Drop.
RSpec.describe "A panic in Rust", matrix: false do
  root = File.expand_path("..", __dir__)
  load_path = File.join(root, "tmp", "panics")

  before(:context) do
    command = %w[cargo build --locked --quiet --package rack_streaming_proxy --features test-panics]
    output, status = Open3.capture2e({ "RUBY" => RbConfig.ruby }, *command, chdir: root)
    raise "cargo build failed:\n#{output}" unless status.success?

    built = Dir[File.join(root, "target/debug/librack_streaming_proxy.{so,dylib}")].first
    folder = File.join(load_path, "rack", "streaming_proxy")
    FileUtils.mkdir_p(folder)
    library = File.join(folder, "rack_streaming_proxy.#{RbConfig::CONFIG["DLEXT"]}")
    FileUtils.rm_f(library)
    FileUtils.cp(built, library)
  end

  let(:upstream) do
    start_upstream do |connection|
      loop { connection.respond(200, {}, "fine") if connection.read_head(within: 30) }
    end
  end

  prelude = <<~RUBY
    require "rack/mock"
    $stdout.sync = true
    APP = Rack::StreamingProxy::Proxy.new(proc {}, logger: Logger.new(nil)) do |request|
      ENV.fetch("UPSTREAM") + request.fullpath
    end

    def get(headers = {}) = Rack::MockRequest.new(APP).get("/", headers).body
  RUBY

  define_method(:script) do |text|
    env = { "UPSTREAM" => upstream.url(""), "RUST_BACKTRACE" => "0" }
    folders = ["-I", load_path, "-I", File.join(root, "lib")]
    Open3.capture2e(env, RbConfig.ruby, *folders, "-r", "rack/streaming_proxy", "-e",
                    prelude + text)
  end

  it "at the border is an UnknownError, and the next request works" do
    output, status = script(<<~RUBY)
      target = Rack::StreamingProxy::Target.new(ENV.fetch("UPSTREAM")).native
      policy = Rack::StreamingProxy::Configuration.new({}).policy
      request = ["GET", [], [nil, nil, nil, "1.1"], nil, false]
      exchange = Rack::StreamingProxy::Native::Client.open(target, request, policy)
      begin
        exchange.panic
      rescue Rack::StreamingProxy::UnknownError => e
        puts e.message
      end
      puts get
    RUBY
    expect(output).to include("a defect in the engine: a panic at the border")
    expect([status.exitstatus, output.lines.last]).to eq([0, "fine\n"])
  end

  it "in an exchange's task is an UnknownError, and the next request works" do
    output, status = script(<<~RUBY)
      begin
        get("HTTP_X_TEST_PANIC" => "task")
      rescue Rack::StreamingProxy::UnknownError => e
        puts e.message
      end
      puts get
      puts Rack::StreamingProxy.stats.fetch(:exchanges)
    RUBY
    expect(output).to match(/the engine's task ended without an answer$/)
    expect([status.exitstatus, output.lines.last(2)]).to eq([0, %W[fine\n 0\n]])
  end

  it "in Drop ends nothing, and the next request works" do
    output, status = script(<<~RUBY)
      target = Rack::StreamingProxy::Target.new(ENV.fetch("UPSTREAM")).native
      policy = Rack::StreamingProxy::Configuration.new({}).policy
      20.times do
        request = ["GET", [], [nil, nil, nil, "1.1"], nil, false]
        Rack::StreamingProxy::Native::Client.open(target, request, policy).panic_in_drop
      end
      GC.start
      puts get
    RUBY
    expect(output).to include("a panic asked for by a test")
    expect([status.exitstatus, output.lines.last]).to eq([0, "fine\n"])
  end
end
