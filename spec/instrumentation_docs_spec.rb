# frozen_string_literal: true

# Every example of docs/instrumentation.md, run in a process that makes a request through the proxy.
RSpec.describe "docs/instrumentation.md" do
  page = File.read(File.join(RubyProcess::ROOT, "docs/instrumentation.md"))
  fences = page.scan(/^```(\w*)\n(.*?)^```$/m)
  examples = { metrics: "class ProxyMetrics", tracker: "ErrorTracker", traces: "OpenTelemetry",
               lines: "class JsonLines", stats: "StreamingProxy.stats" }

  define_method(:code) do |name|
    fences.map(&:last).find { |text| text.include?(examples.fetch(name)) }
  end

  let(:upstream) { serving { |request| [200, {}, "got #{request["traceparent"]}"] } }

  # @return [String] what the text writes, that has `request(url, **settings)`
  def run(text, upstream: self.upstream)
    env = { "UPSTREAM" => upstream.url, "GONE" => "http://127.0.0.1:#{closed_port}" }
    RubyScript.run(<<~RUBY, env:).output
      require "json"
      require "rack/mock"
      require "active_support"
      require "active_support/notifications"
      QUIET = Logger.new(nil)
      def body_of(app) = app.call(Rack::MockRequest.env_for("/files/a")).last.then do |body|
        text = +""
        body.each { |chunk| text << chunk }
        body.close if body.respond_to?(:close)
        text
      end
      def request(url, **settings)
        body_of(Rack::StreamingProxy::Proxy.new(nil, logger: QUIET, **settings) { url })
      end
      #{text}
    RUBY
  end

  it "has no example that is not known here" do
    expect(fences.size).to eq(examples.size)
    expect(examples.keys.map { |name| code(name) }.uniq.size).to eq(examples.size)
  end

  it "shows counters and sums by upstream and outcome" do
    output = run(<<~RUBY)
      #{code(:metrics)}
      2.times { request(ENV["UPSTREAM"]) }
      request(ENV["GONE"])
      puts METRICS.requests.map { |(_, outcome), count| "\#{outcome} \#{count}" }
      puts "bytes \#{METRICS.bytes.values.sum}"
      puts METRICS.seconds.keys.map(&:last).uniq.join(" ")
      puts METRICS.seconds.values.all? { |time| time.is_a?(Float) && time >= 0 }
    RUBY
    expect(output.lines(chomp: true))
      .to eq(["200 2", "Rack::StreamingProxy::ConnectError 1", "bytes 8",
              "total connect head body", "true"])
  end

  it "shows an error tracker" do
    output = run(<<~RUBY)
      module ErrorTracker
        def self.notify(error, upstream:) = puts("\#{error.class} \#{upstream == ENV["GONE"]}")
      end
      #{code(:tracker)}
      request(ENV["UPSTREAM"])
      request(ENV["GONE"])
    RUBY
    expect(output).to eq("Rack::StreamingProxy::ConnectError true\n")
  end

  it "shows how a span's context goes up" do
    output = run(<<~RUBY)
      module OpenTelemetry
        def self.propagation = self
        def self.inject(carrier) = carrier["traceparent"] = "00-mine-01"
      end
      app = Rack::Builder.app do
        #{code(:traces).gsub('"http://files.internal', 'ENV["UPSTREAM"].chomp("/") + "')}
        run ->(_env) { [404, {}, []] }
      end
      Rack::StreamingProxy::Proxy.logger = QUIET
      puts body_of(app)
    RUBY
    expect(output).to eq("got 00-mine-01\n")
  end

  it "shows log lines of the application's own, and those that it does not change" do
    answers = [500, 200]
    upstream = serving { [answers.shift, {}, "text"] }
    output = run(<<~RUBY, upstream:)
      #{code(:lines)}
      LOGGER = Logger.new($stdout, formatter: proc { |*, text| "\#{text}\\n" })
      request(ENV["UPSTREAM"], logger: LOGGER, num_retries_on_5xx: 1, retry_delay: 0)
    RUBY
    starting, retrying, line, *more = output.lines
    expect([starting, retrying, more]).to match([/Starting/, /Got 500, retrying/, []])
    expect(JSON.parse(line)).to include("method" => "GET", "url" => upstream.url, "status" => 200,
                                        "bytes_down" => 4, "ms" => an_instance_of(Integer))
  end

  it "names what stats has" do
    names = run("request(ENV['UPSTREAM'])\nputs #{code(:stats).chomp}.keys").split
    listed = page[/^is a Hash of what this process.*/m].scan(/`(\w+)`/).flatten
    expect(names).to match_array(listed)
  end
end
