# frozen_string_literal: true

# The extension is not declared safe for Ractors: it keeps one engine for the process, and the Ruby
# half has settings on its classes. What is tried in another Ractor says so.
RSpec.describe "Ractors" do
  def run_in_ractor(text)
    RubyScript.run(<<~RUBY).output
      Warning[:experimental] = false
      Thread.report_on_exception = false
      ractor = Ractor.new do
        #{text}
      rescue StandardError => e
        "\#{e.class}: \#{e.message}"
      end
      puts ractor.respond_to?(:value) ? ractor.value : ractor.take
    RUBY
  end

  it "other than the main one are refused a proxy, clearly" do
    expect(run_in_ractor(<<~RUBY)).to eq(<<~TEXT)
      Rack::StreamingProxy::Proxy.new(nil, timeout: 5) { "http://127.0.0.1:1/" }
    RUBY
      Rack::StreamingProxy::ConfigurationError: Rack::StreamingProxy serves the main Ractor only
    TEXT
  end

  ["Rack::StreamingProxy.stats", "Rack::StreamingProxy::Target.new(\"http://127.0.0.1:1/\")"]
    .each do |call|
      it "are refused #{call} by Ruby" do
        expect(run_in_ractor(call)).to match(/\ARactor::UnsafeError: ractor unsafe method called/i)
      end
    end

  it "leave a proxy alone that serves in the main one" do
    result = RubyScript.run(<<~RUBY)
      Warning[:experimental] = false
      require "rack/mock"
      options = { logger: Logger.new(File::NULL) }
      proxy = Rack::StreamingProxy::Proxy.new(nil, **options) { "http://127.0.0.1:#{closed_port}/" }
      answers = Thread.new { proxy.call(Rack::MockRequest.env_for("/")).first }
      ractor = Ractor.new { 6 * 7 }
      puts [answers.value, ractor.respond_to?(:value) ? ractor.value : ractor.take].inspect
    RUBY
    expect(result.output).to eq("[502, 42]\n")
  end
end
