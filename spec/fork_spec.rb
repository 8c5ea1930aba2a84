# frozen_string_literal: true

# Law 3: no thread, lock, pool or socket crosses a fork; at exit nothing hangs.
RSpec.describe "A process that forks or ends" do
  include_context "with a forking script"

  it "starts nothing at require and initialize" do
    result = script(<<~RUBY)
      p Dir.children("/proc/self/task").size
    RUBY
    bare_ruby = RubyScript.run('p Dir.children("/proc/self/task").size')
    expect(result.output).to eq(bare_ruby.output)
    expect(upstream.connections).to be_empty
  end

  it "works in parent and child after use, each on connections of its own", id: "CN9" do
    result = script(<<~RUBY)
      get("/whole")
      child = fork do
        p [:child, *get("/whole")]
        p [:child, *get("/whole")]
      end
      Process.wait(child)
      p $?.success?
      p [:parent, *get("/whole")]
    RUBY
    expect(result.output).to eq(<<~TEXT)
      [:child, 200, "whole"]
      [:child, 200, "whole"]
      true
      [:parent, 200, "whole"]
    TEXT
    expect(upstream.connections.map { |connection| connection.heads.size }).to eq([2, 2])
  end

  it "goes on with its stream while a child streams and ends", id: "CN9" do
    result = script(<<~RUBY)
      forked = false
      p([:parent, *get("/stream") do
        next if forked
        forked = true
        child = fork { p [:child, *get("/stream/child") { |text| get("/go/child") if text == "a" }] }
        Process.wait(child)
        p $?.success?
        get("/go/parent")
      end])
    RUBY
    expect(result.output)
      .to eq(%([:child, 200, "ab"]\ntrue\n[:parent, 200, "ab"]\n))
  end

  it "is not disturbed by what a child does with an inherited body" do
    result = script(<<~RUBY)
      _, _, body = APP.call(Rack::MockRequest.env_for("/stream"))
      child = fork do
        body.close
        GC.start
        begin
          body.each {}
        rescue IOError, Rack::StreamingProxy::Failure
          nil
        end
      end
      Process.wait(child)
      p $?.success?
      text = +""
      begin
        Timeout.timeout(1) { body.each { |chunk| text << chunk } }
      rescue Timeout::Error
        p text
      end
    RUBY
    expect(result.output).to eq(%(true\n"a"\n))
  end

  it "leaves its upstream alone when a child ends, however it ends" do
    result = script(<<~RUBY)
      get("/whole")
      [-> { exit }, -> { exit! }, -> { GC.start; exit }, -> { Process.kill("KILL", $$) }].each do |way|
        Process.wait(fork(&way))
        p get("/whole")
      end
    RUBY
    expect(result.output).to eq(%([200, "whole"]\n) * 4)
    expect(upstream.connections.size).to eq(1)
  end

  it "ends a connection for the upstream to see while a forked child lives" do
    result = script(<<~RUBY)
      _, _, body = APP.call(Rack::MockRequest.env_for("/hang"))
      child = fork { sleep }
      body.close
      puts soon { get("/ended").last == "true" }
      Process.kill("KILL", child)
      Process.wait(child)
    RUBY
    expect(result.output).to eq("true\n")
  end

  it "works after Process.daemon" do
    result = script(<<~RUBY)
      get("/whole")
      Process.daemon(true, true)
      p get("/whole")
    RUBY
    expect(result.output).to eq(%([200, "whole"]\n))
  end

  it "works after use in a thread that has ended" do
    result = script(<<~RUBY)
      Thread.new { get("/whole") }.join
      Process.wait(fork { p get("/whole") })
      p get("/whole")
    RUBY
    expect(result.output).to eq(%([200, "whole"]\n) * 2)
  end

  { "after use" => 'get("/whole")',
    "with a connection in the pool and garbage" => '20.times { get("/whole") }; GC.start',
    "with a body open" => 'BODY = APP.call(Rack::MockRequest.env_for("/hang")).last',
    "with a body half read" =>
      'BODY = APP.call(Rack::MockRequest.env_for("/hang")).last; BODY.each { break }',
    "with a thread amid a body" => 'Thread.new { get("/hang") { $in = 1 } }; sleep 0.01 until $in',
    "with a thread that awaits a head" =>
      'waiting = Thread.new { get("/silent") }; ' \
      "soon { Rack::StreamingProxy.stats[:connections] == 1 && waiting.stop? }",
    "with a failed request behind it" =>
      'ENV["UPSTREAM"] = "http://127.0.0.1:1"; get("/")' }.each do |state, text|
    it "exits at once #{state}" do
      result = script("#{text}\nat_exit { at_exit { nil } }\n" \
                      "puts Process.clock_gettime(Process::CLOCK_MONOTONIC)\nexit 3")
      seconds = Deadline.now - result.output.to_f
      expect(result.status&.exitstatus).to eq(3)
      expect(seconds).to be < 5 # other waits of this process last 15 s and more
    end
  end
end
