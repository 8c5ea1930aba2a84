# frozen_string_literal: true

require "rack/streaming_proxy/testing"

RSpec.describe Rack::StreamingProxy::Testing, "in threads and processes" do
  testing = described_class

  after { testing.reset }

  let(:app) { bare { |request| "http://files.internal#{request.path}" } }

  # What a thread of its own makes of the block.
  def elsewhere(&block)
    in_thread(&block).tap { |thread| expect(thread.join(20)).not_to be_nil }.value
  end

  it "keeps the tests of several threads apart, though they stub the same URL" do
    together = Queue.new
    threads = Array.new(8) do |number|
      in_thread do
        testing.reset
        together.pop
        seen = Array.new(20) do |round|
          testing.stub("http://files.internal/") { [200, {}, ["#{number} #{round}"]] }
          fetch(app).body
        end
        [seen, testing.requests.size].tap { testing.reset }
      end
    end
    threads.size.times { together << true }
    threads.each_with_index do |thread, number|
      expect(thread.join(30)).not_to be_nil
      expect(thread.value).to eq([Array.new(20) { |round| "#{number} #{round}" }, 20])
    end
  end

  it "refuses to one test what another has stubbed" do
    testing.stub("http://files.internal/") { [200, {}, []] }
    testing.disable_net_connect!
    refused = elsewhere do
      testing.reset
      fetch(app)
    rescue testing::NetConnectNotAllowedError => e
      e.message
    end
    expect(refused).to end_with("There is no stub.\n")
  ensure
    testing.allow_net_connect!
  end

  it "answers to a thread that runs no test, a server's for one, with any test's stubs" do
    testing.stub("http://files.internal/a") { [200, {}, ["stub"]] }
    expect(elsewhere { fetch(app, "/a").body }).to eq("stub")
    expect(testing.requests.map(&:url)).to eq(["http://files.internal/a"])
  end

  it "works with a server in the test's own process, as Capybara has it" do
    require "puma"
    require "puma/server"
    testing.stub("http://files.internal/a") { [200, {}, %w[tick tack tock].each] }
    server = Puma::Server.new(app)
    port = server.add_tcp_listener("127.0.0.1", 0).addr[1]
    server.run
    client = connect(port)
    client.get("/a")
    expect(client.read_response.body).to eq("ticktacktock")
    expect(testing.requests.first["x-forwarded-host"]).to eq("client.test")
  ensure
    server&.stop(true)
  end

  it "works in processes that were forked from one that has used it" do
    result = RubyScript.run(<<~RUBY)
      require "rack/streaming_proxy/testing"
      require "rack/mock"
      testing = Rack::StreamingProxy::Testing
      app = Rack::StreamingProxy::Proxy.new(proc {}, logger: Logger.new(nil)) { "http://up.test/" }
      def app.read(env) = call(env).last.tap { |body| body.each { |text| print text } }.close
      testing.stub("http://up.test/") { [200, {}, ["parent \#{testing.requests.size}\\n"]] }
      app.read(Rack::MockRequest.env_for("/"))
      $stdout.flush
      fork do
        app.read(Rack::MockRequest.env_for("/"))
        testing.reset
        testing.stub("http://up.test/") { [200, {}, ["child \#{testing.requests.size}\\n"]] }
        app.read(Rack::MockRequest.env_for("/"))
      end
      Process.wait
      app.read(Rack::MockRequest.env_for("/"))
    RUBY
    expect(result.output).to eq("parent 1\nparent 2\nchild 1\nparent 2\n")
    expect(result.status).to be_success
  end

  describe "afterwards" do
    def held
      [Dir.children("/proc/self/fd").size, Thread.list.size]
    end

    def all_ended
      Deadline.new(10).poll { Rack::StreamingProxy.stats[:exchanges].zero? }
    end

    it "leaves no descriptor and no thread, however exchanges end" do
      testing.stub(/whole/) { [200, {}, ["a"]] }
      testing.stub(/cut/) { [200, {}, ["a", Rack::StreamingProxy::BodyError]] }
      testing.stub(/left/) { [200, {}, Enumerator.new { |body| loop { body << "x" * 1000 } }] }
      testing.stub(/raised/) { raise KeyError }
      testing.stub(/failed/) { raise Rack::StreamingProxy::ConnectError }
      ask = lambda do |_|
        fetch(app, "/whole")
        fetch(app, "/failed")
        app.call(env_for("/left")).last.tap { |body| body.enum_for(:each).first }.close
        app.call(env_for("/left")).last.close
        expect { fetch(app, "/cut") }.to raise_error(Rack::StreamingProxy::BodyError)
        expect { fetch(app, "/raised") }.to raise_error(KeyError)
      end
      2.times(&ask)
      expect(all_ended).to be(true)
      GC.start
      GC.disable
      before = held
      20.times(&ask)
      expect(all_ended).to be(true)
      grown = -> { held.zip(before).any? { |now, earlier| now > earlier } }
      expect(Deadline.new(10).poll { !grown.call }).to be(true)
    ensure
      GC.enable
    end

    it "leaves no connection in the pool, for its port will be another's" do
      testing.stub(/./) { [200, {}, ["a"]] }
      idle = -> { Rack::StreamingProxy.stats[:idle_connections] }
      before = idle.call
      bodies = Array.new(20) { app.call(env_for).last.tap { |body| body.each(&:itself) } }
      expect(all_ended).to be(true)
      expect(idle.call).to be <= before
      bodies.each(&:close)
    end

    it "leaves nothing of a thread that was killed while it was answered" do
      begun = Queue.new
      testing.stub(/./) { begun << true && sleep }
      killed = lambda do |_|
        thread = in_thread { fetch(app) }
        begun.pop
        thread.kill.join(5)
      end
      2.times(&killed)
      before = held.first
      5.times(&killed)
      expect(all_ended).to be(true)
      expect(Deadline.new(10).poll { GC.start || held.first <= before }).to be(true)
    end
  end

  it "is not loaded by the library" do
    result = RubyScript.run("puts Rack::StreamingProxy.const_defined?(:Testing)")
    expect(result.output).to eq("false\n")
  end
end
