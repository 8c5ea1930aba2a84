# frozen_string_literal: true

# Who writes the lines about a request: the log subscriber, or the proxy itself.
RSpec.describe Rack::StreamingProxy, "::LogSubscriber" do
  # In a process of its own, as it is attached for all of it.
  def lines(text)
    result = RubyScript.run(<<~RUBY, env: { "UPSTREAM" => upstream.url })
      require "rack/mock"
      require "rack/streaming_proxy/log_subscriber"
      def request(**settings)
        app = Rack::StreamingProxy::Proxy.new(proc {}, **settings) { ENV["UPSTREAM"] }
        app.call(Rack::MockRequest.env_for("/")).last.tap { |body| body.each {} }.close
      end
      mine = Logger.new($stdout, formatter: proc { |*, text| "mine \#{text}\\n" })
      #{text}
    RUBY
    result.output.lines(chomp: true).grep(/Finishing|Got|Failed|failed/)
  end

  let(:upstream) do
    count = 0
    serving { (count += 1) == 1 ? [503, {}, ""] : [200, {}, "12345"] }
  end

  it "writes the lines in the proxy's stead, each once, to the logger that is set" do
    written = lines(<<~RUBY)
      Rack::StreamingProxy::LogSubscriber.attach_to :streaming_proxy
      request(logger: mine, num_retries_on_5xx: 1, retry_delay: 0)
      request
    RUBY
    expect(written).to match([/\Amine \[Rack::StreamingProxy\] Got 503, retrying/,
                              /\Amine \[Rack::StreamingProxy\] Finishing.*5 bytes.*2 attempts/,
                              /INFO.*\[Rack::StreamingProxy\] Finishing.*1 attempt\)/])
  end

  it "leaves them to the proxy when it is detached, or never attached" do
    written = lines(<<~RUBY)
      request(logger: mine, num_retries_on_5xx: 1, retry_delay: 0)
      Rack::StreamingProxy::LogSubscriber.attach_to :streaming_proxy
      Rack::StreamingProxy::LogSubscriber.detach_from :streaming_proxy
      request(logger: mine)
    RUBY
    expect(written).to match([/Got 503/, /Finishing.*2 attempts/, /Finishing.*1 attempt\)/])
  end

  context "without Active Support" do
    let(:upstream) { serving { [200, {}, "12345"] } }

    def run(text)
      RubyScript.run(<<~RUBY, env: { "UPSTREAM" => upstream.url }).output
        require "rack/mock"
        #{text}
        app = Rack::StreamingProxy::Proxy.new(proc {}) { ENV["UPSTREAM"] }
        app.call(Rack::MockRequest.env_for("/")).last.tap { |body| body.each { |chunk| puts chunk } }.close
        p [defined?(ActiveSupport), (ActiveSupport.autoload?(:Notifications) rescue nil)]
      RUBY
    end

    it "works, and loads nothing" do
      output = run("")
      expect(output).to match(/^12345$/).and match(/^\[nil, nil\]$/)
      expect(output).to match(/Finishing/)
    end

    it "does not load what the application has not" do
      expect(run('require "active_support"')).to match(/^12345$/).and match(/^\["constant", "/)
    end
  end
end
