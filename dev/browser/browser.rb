# frozen_string_literal: true

# Has Chromium talk to a WebSocket server directly and through a Rails application on Puma, and says
# whether it is told the same. Needs Debian's package `chromium`, which nothing installs.

require "json"
require "rack"
require "tmpdir"

support = File.expand_path("../../spec/support", __dir__)
%w[deadline raw_socket ruby_process].each { |name| require "#{support}/#{name}" }
%w[child_output event_queue reserved_port raw_head chunked_body canned_response upstream_connection
   raw_upstream process_facts server_process rails_application rails_requests]
  .each { |name| require "#{support}/#{name}" }

# One run.
class Browser
  include RailsRequests

  ROUTES = <<~RUBY
    case request.path
    when "/socket" then ENV.fetch("SOCKETS") + request.path
    when "/told" then ENV.fetch("TOLD") + request.path
    end
  RUBY
  OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--host-resolver-rules=MAP client.test 127.0.0.1"].freeze
  private_constant :ROUTES, :OPTIONS

  def initialize
    @kept = []
    @told = EventQueue.new("report of the page")
  end

  # @return [Boolean] whether it is the same
  def run
    direct, through = converse.values_at("direct", "through")
    puts(direct.map(&:inspect))
    same = direct == through && direct.last.first(2) == ["close", 3001]
    puts(same ? "browser: the same through Rails" : through.map(&:inspect))
    same
  ensure
    @kept.reverse_each(&:stop)
  end

  private

  def keep(thing) = @kept.push(thing).last

  def start_puma(rackup, **options) = keep(ServerProcess.start(:puma, rackup, **options))

  # What the page tells.
  def converse
    sockets = start_websocket
    rails = start(sockets)
    Dir.mktmpdir("chromium") do |profile|
      url = "http://client.test:#{rails.address}/page.html#ws://127.0.0.1:#{sockets}/socket"
      pid = Process.spawn("chromium", *OPTIONS, "--user-data-dir=#{profile}", url,
                          %i[out err] => File::NULL, pgroup: true)
      JSON.parse(@told.pop(within: 60))
    ensure
      end_all(pid) if pid
    end
  rescue Errno::ENOENT
    abort "browser: chromium is not installed"
  end

  def end_all(pid)
    Process.kill("KILL", -pid)
    Process.wait(pid)
  end

  def start_websocket
    process = keep(RubyProcess.new(File.expand_path("../../spec/support/launchers/websocket.rb",
                                                    __dir__)))
    process.output.wait_for(ServerProcess::LISTENING, within: 40)[1].to_i
  end

  def start(sockets)
    told = keep(RawUpstream.serving do |request|
      @told << request.body
      [204, {}, ""]
    end)
    env = { "SOCKETS" => "http://127.0.0.1:#{sockets}", "TOLD" => told.url("") }
    page = File.read(File.join(__dir__, "page.html"))
    start_rails(initializer(block: ROUTES), env:, files: { "public/page.html" => page })
  end
end

exit Browser.new.run
