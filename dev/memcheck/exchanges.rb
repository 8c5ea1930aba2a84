# frozen_string_literal: true

# Exchanges of each kind that crosses the border to the extension, against the upstream whose URL
# is given (spec/support/border_upstream.rb). GC.stress looks at them in spec/gc/stress_spec.rb,
# valgrind in `rake memcheck`. Further arguments name the kinds to run.

require "logger"
require "rack/mock"
require "rack/streaming_proxy"
require_relative "hand_overs"

# Each public method is a kind; what it returns must be true.
class Exchanges
  include HandOvers

  # An input that cannot be rewound and whose length nobody knows.
  Pieces = Struct.new(:pieces) do
    def read(_size = nil, _buffer = nil) = pieces.shift
  end

  def initialize(upstream)
    @upstream = upstream
  end

  def requests
    get("/large").bytesize == 1_000_000 && get("/chunks") == "01234" && get("/empty") == "" &&
      get("/echo", { "REQUEST_METHOD" => "HEAD" }) == ""
  end

  def uploads
    post("/echo", "x" * 100) == "x" * 100 && post("/echo", "y" * 300_000).bytesize == 300_000 &&
      get("/echo", { "REQUEST_METHOD" => "POST", "HTTP_TRANSFER_ENCODING" => "chunked",
                     "rack.input" => Pieces.new(%w[a b c]), "CONTENT_LENGTH" => nil }) == "abc"
  end

  def settings
    headers = { "X-Key" => "k", "Cookie" => nil, "X-Two" => %w[1 2] }
    get("/chunks", headers:, allow_destinations: ["127.0.0.0/8", "files.internal"]) == "01234" &&
      raised(Rack::StreamingProxy::ConfigurationError) { get("/", headers: { "a b" => "c" }) } &&
      raised(Rack::StreamingProxy::ConfigurationError) { call("/") { "http://[::g]/" } }
  end

  def permissions
    asked = []
    allow = ->(host, address) { asked << [host, address.to_s] }
    get("/chunks", allow_destinations: allow) == "01234" &&
      asked.uniq == [%w[127.0.0.1 127.0.0.1]] &&
      fails(Rack::StreamingProxy::DestinationRefused, allow_destinations: ->(*) { false }) &&
      raised(RuntimeError) { get("/", allow_destinations: ->(*) { raise "mine" }) }
  end

  def failures
    fails(Rack::StreamingProxy::ConnectError) { "http://127.0.0.1:1/" } &&
      fails(Rack::StreamingProxy::ProtocolError, "/garbage") &&
      fails(Rack::StreamingProxy::TimeoutError, "/silent", timeout: 0.01) &&
      fails(Rack::StreamingProxy::ProtocolError, "/chunks", max_headers: 1) &&
      raised(Rack::StreamingProxy::BodyError) { get("/cut") }
  end

  def retries
    facts = { num_retries_on_5xx: 1, retry_delay: 0 }
    get("/busy", **facts) == "busy" && post("/busy", "x" * 200_000, **facts) == "busy"
  end

  def ends
    seen = []
    on_complete = ->(response) { seen << response.trailers.transform_keys(&:downcase) }
    get("/trailers", on_complete:) == "a" && get("/empty", on_complete:) == "" &&
      seen == [{ "x-sum" => "1" }, {}]
  end

  def hints
    seen = []
    early_hints = ->(fields) { seen << fields }
    get("/hints", { "rack.early_hints" => early_hints }) == "hinted" && seen.size == 1
  end

  def closed
    bodies = ["/large", "/chunks", "/hang"].map { |path| call(path).last }
    bodies.each(&:close).each(&:close)
    raised(Rack::StreamingProxy::BodyError) { bodies.first.each(&:itself) }
  end

  def forgotten
    3.times { call("/large") }
    GC.start
    true
  end

  def killed
    threads = %w[/silent /hang].map do |path|
      Thread.new { get(path) { Thread.stop } }
    end
    at_work = Rack::StreamingProxy.stats[:started] + 2
    Thread.pass until Rack::StreamingProxy.stats[:started] >= at_work || threads.all?(&:stop?)
    threads.all? { |thread| thread.kill.join(30) }
  end

  def compaction
    body = call("/chunks").last
    GC.compact if GC.respond_to?(:compact)
    verify = GC.respond_to?(:verify_compaction_references)
    GC.verify_compaction_references(toward: :empty) if verify
    text = +""
    body.each { |chunk| text << chunk }
    body.close
    text == "01234"
  end

  def forks
    body = call("/hang").last
    child = fork do
      body.close
      exit!(get("/chunks") == "01234")
    end
    Process.wait(child)
    body.close
    $CHILD_STATUS.success?
  end

  def drain
    Rack::StreamingProxy.drain(within: 60) && get("/chunks") == "01234" &&
      Rack::StreamingProxy.stats[:exchanges].zero?
  end

  private

  def call(path, env = {}, **settings, &target)
    target ||= ->(_) { @upstream + path }
    settings = { logger: Logger.new(nil), raise_on_error: true, timeout: nil }.merge(settings)
    proxy = Rack::StreamingProxy::Proxy.new(proc {}, **settings, &target)
    proxy.call(Rack::MockRequest.env_for(path).merge(env))
  end

  def get(path, env = {}, **settings)
    _, _, body = call(path, env, **settings)
    text = String.new
    body.each do |chunk|
      text << chunk
      yield if block_given?
    end
    text
  ensure
    body.close if body.respond_to?(:close)
  end

  def post(path, text, **settings)
    get(path, Rack::MockRequest.env_for(path, method: "POST", input: text), **settings)
  end

  def fails(error, path = "/", **settings, &target)
    raised(error) { call(path, **settings, &target) }
  end

  def raised(error)
    yield
    false
  rescue error
    true
  end
end

require "English"
upstream, *names = ARGV
exchanges = Exchanges.new(upstream)
kinds = [Exchanges, HandOvers].flat_map { |one| one.public_instance_methods(false) }
names = kinds if names.empty?
# With what has been loaded grown old, 1 looks at what is young at every allocation: at all of it,
# as `true` does, would take minutes.
4.times { GC.start }
GC.stress = { "young" => 1, "all" => true }[ENV.fetch("STRESS", nil)]
names.each { |name| puts "#{name} #{exchanges.public_send(name)}" }
