# frozen_string_literal: true

# RSpec's and Minitest's part of Testing, in processes of their own: what a failing test says, and
# that nothing of one test is left for the next.
RSpec.describe "Rack::StreamingProxy::Testing in test frameworks" do
  app = <<~RUBY
    require "rack/mock"
    require "logger"
    APP = Rack::StreamingProxy::Proxy.new(proc {}, logger: Logger.new(nil)) do |request|
      "http://files.internal\#{request.fullpath}"
    end
    def ask(path, **options) = APP.call(Rack::MockRequest.env_for(path, options)).last.each {}
  RUBY

  def run(text, *arguments)
    Dir.mktmpdir do |directory|
      File.write(File.join(directory, "a_test.rb"), text)
      process = keep(RubyProcess.new(*arguments, "a_test.rb", directory:))
      process.wait(within: 30)
      process.output.ended?(within: 20)
      process.output.to_s
    end
  end

  define_method(:rspec) do |examples|
    run(<<~RUBY, "-S", "rspec", "--no-color", "--order", "defined")
      require "rack/streaming_proxy/testing/rspec"
      #{app}
      RSpec.describe "a" do
        def answer = stub_upstream(/./) { [200, {}, []] }
        #{examples}
      end
    RUBY
  end

  define_method(:minitest) do |tests|
    run(<<~RUBY)
      require "minitest/autorun"
      require "rack/streaming_proxy/testing/minitest"
      #{app}
      class ATest < Minitest::Test
        include Rack::StreamingProxy::Testing::Minitest
        def self.test_order = :sorted
        def answer = stub_upstream(/./) { [200, {}, []] }
        #{tests}
      end
    RUBY
  end

  describe "RSpec" do
    it "forgets stubs and requests after each example, and refuses real connections" do
      output = rspec(<<~RUBY)
        it("stubs") { answer and ask("/a") and expect(upstream_requests.size).to eq(1) }
        it "has nothing left" do
          expect(upstream_requests).to be_empty
          expect { ask("/a") }
            .to raise_error(Rack::StreamingProxy::Testing::NetConnectNotAllowedError)
        end
      RUBY
      expect(output).to match(/^2 examples, 0 failures$/)
    end

    it "says what was proxied where have_proxied does not hold" do
      output = rspec(<<~RUBY)
        before { answer and ask("/a", method: "POST", input: "x=é") }
        it("one") { expect(APP).to have_proxied(:get, "http://files.internal/a") }
        it("two") { expect(APP).not_to have_proxied("POST", /internal/).with(body: "x=é") }
        it("three") { expect(APP).to have_proxied(nil, /a/).with(headers: { "via" => nil }).times(2) }
      RUBY
      expect(output).to match(/^3 examples, 3 failures$/)
      seen = /^ +proxied were\n +POST http:\S+ \{.*"via".*\} "x=/
      expect(output).to match(%r{expected to have proxied GET http://files.internal/a\n#{seen}})
      expect(output)
        .to match(%r{expected not to have proxied POST /internal/ with body x=é\n#{seen}})
      expect(output).to match(/any method .* with headers \{"via" ?=> ?nil\} 2 times\n#{seen}/)
    end

    it "matches methods, URLs, headers, bodies and counts" do
      output = rspec(<<~RUBY)
        before { answer and 2.times { ask("/a?b", method: "POST", input: "x=é") } }
        it "does" do
          url = "http://Files.internal:80/a?b"
          [have_proxied(:post, url), have_proxied("POST", /a/).times(2), have_proxied(nil, url),
           have_proxied(:post, url).with(headers: { "Host" => /files/, "X-No" => nil }),
           have_proxied(:post, url).with(body: "x=é"), have_proxied(:post, url).with(body: /=é\\z/),
           have_proxied(:post, url).with(body: a_string_starting_with("x"))]
            .each { |matcher| expect(APP).to matcher }
        end
        it "does not" do
          url = "http://files.internal/a?b"
          [have_proxied(:get, url), have_proxied(:post, "http://files.internal/a"),
           have_proxied(:post, url).once, have_proxied(:post, /other/),
           have_proxied(:post, url).with(headers: { "Host" => "files" }),
           have_proxied(:post, url).with(headers: { "Host" => nil }),
           have_proxied(:post, url).with(headers: { "X-No" => /./ }),
           have_proxied(:post, url).with(body: "x=e")]
            .each { |matcher| expect(APP).not_to matcher }
        end
      RUBY
      expect(output).to match(/^2 examples, 0 failures$/)
    end

    it "does not wait for a lock that the example holds" do
      output = rspec(<<~RUBY)
        let(:text) { "a" }
        subject { stub_upstream(/./) { [200, {}, [text]] } and ask("/") }
        it { is_expected.not_to be_nil }
      RUBY
      expect(output).to match(/^1 example, 0 failures$/)
    end
  end

  describe "Minitest" do
    it "forgets stubs and requests after each test, and refuses real connections" do
      output = minitest(<<~RUBY)
        def test_1 = (answer and ask("/a") and assert_proxied(:get, /a/))
        def test_2
          refute_proxied :get, /a/
          assert_raises(Rack::StreamingProxy::Testing::NetConnectNotAllowedError) { ask("/a") }
        end
      RUBY
      expect(output).to match(/^2 runs, 3 assertions, 0 failures, 0 errors, 0 skips$/)
    end

    it "says what was proxied where an assertion does not hold" do
      output = minitest(<<~RUBY)
        def setup = (answer and ask("/a"))
        def test_1 = assert_proxied(:put, /a/, headers: { "x" => "y" }, body: "z", times: 3)
        def test_2 = refute_proxied(:get, /a/)
      RUBY
      expect(output).to match(/^2 runs, 2 assertions, 2 failures/)
      seen = "proxied were\n  GET http"
      expect(output).to match(%r{^expected to have proxied PUT /a/ .* with body z 3 times\n#{seen}})
      expect(output).to match(%r{^expected not to have proxied GET /a/\n#{seen}})
    end
  end
end
