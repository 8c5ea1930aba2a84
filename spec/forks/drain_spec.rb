# frozen_string_literal: true

RSpec.describe "Rack::StreamingProxy.drain" do
  include_context "with a forking script"

  # Ruby's own timer has descriptors as soon as there has been a second thread.
  before_use = <<~RUBY
    Thread.new {}.join
    before = descriptors
  RUBY

  it "leaves no thread, no descriptor and no connection, and the next request begins anew" do
    result = script(<<~RUBY)
      #{before_use}
      2.times { p get("/whole") }
      p Rack::StreamingProxy.drain(within: 5)
      p engine_threads, descriptors == before
      p Rack::StreamingProxy.stats.slice(:connections, :idle_connections, :tasks).values
      p soon { get("/ended").last == "true" }
      p get("/whole")
    RUBY
    expect(result.output).to eq(<<~TEXT)
      [200, "whole"]
      [200, "whole"]
      true
      0
      true
      [0, 0, 0]
      true
      [200, "whole"]
    TEXT
    expect(upstream.connections.map { |connection| connection.heads.first.target })
      .to eq(%w[/whole /ended])
  end

  it "waits for the exchanges that are open" do
    result = script(<<~RUBY)
      body = open_body("/stream")
      reader = Thread.new { read(body).tap { body.close } }
      drained = Thread.new { Rack::StreamingProxy.drain(within: 10) }
      p drained.join(0.3)
      get("/go/parent")
      p drained.value, reader.value, engine_threads
    RUBY
    expect(result.output).to eq(%(nil\ntrue\n"ab"\n0\n))
  end

  it "says when its time has passed, and lets what is open go on" do
    result = script(<<~RUBY)
      body = open_body("/stream")
      started = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      p Rack::StreamingProxy.drain(within: 0), Rack::StreamingProxy.drain(within: 0.2)
      p (Process.clock_gettime(Process::CLOCK_MONOTONIC) - started) >= 0.2
      get("/go/parent")
      p read(body)
    RUBY
    expect(result.output).to eq(%(false\nfalse\ntrue\n"ab"\n))
  end

  it "can be interrupted" do
    result = script(<<~RUBY)
      body = open_body("/hang")
      begin
        Timeout.timeout(0.2) { Rack::StreamingProxy.drain(within: 60) }
      rescue Timeout::Error
        p :interrupted
      end
      drained = Thread.new { Rack::StreamingProxy.drain(within: 60) }
      p drained.kill.join(5).equal?(drained)
      body.close
      p Rack::StreamingProxy.drain(within: 5)
    RUBY
    expect(result.output).to eq(":interrupted\ntrue\ntrue\n")
  end

  it "has nothing to do before the first request, and nothing a second time" do
    result = script(<<~RUBY)
      p Rack::StreamingProxy.drain(within: 0)
      get("/whole")
      p Rack::StreamingProxy.drain(within: 5), Rack::StreamingProxy.drain(within: 0)
    RUBY
    expect(result.output).to eq("true\n" * 3)
  end

  it "hands over a response that has come whole and is not read yet" do
    result = script(<<~RUBY)
      body = open_body("/whole")
      p soon { Rack::StreamingProxy.stats[:exchanges].zero? }
      p Rack::StreamingProxy.drain(within: 5), read(body)
    RUBY
    expect(result.output).to eq(%(true\ntrue\n"whole"\n))
  end

  it "keeps the numbers that only grow" do
    result = script(<<~RUBY)
      grown = -> { Rack::StreamingProxy.stats.values_at(:started, :finished, :bytes_down) }
      2.times do
        get("/whole")
        Rack::StreamingProxy.drain(within: 5)
        p grown.call
      end
    RUBY
    expect(result.output).to eq("[1, 1, 5]\n[2, 2, 10]\n")
  end

  it "makes a process that forks clean: the child has nothing of it" do
    result = script(<<~RUBY)
      #{before_use}
      get("/whole")
      p Rack::StreamingProxy.drain(within: 5)
      p wait_for(fork { p descriptors == before, get("/whole") })
      p get("/whole")
    RUBY
    expect(result.output).to eq(<<~TEXT)
      true
      true
      [200, "whole"]
      true
      [200, "whole"]
    TEXT
  end

  it "does nothing to the parent when a child calls it" do
    result = script(<<~RUBY)
      body = open_body("/stream")
      p wait_for(fork { exit!(Rack::StreamingProxy.drain(within: 0)) })
      get("/go/parent")
      p read(body)
    RUBY
    expect(result.output).to eq(%(true\n"ab"\n))
  end

  it "refuses what is no time to wait" do
    [-1, nil, "5", Float::NAN, 1i].each do |within|
      expect { Rack::StreamingProxy.drain(within:) }
        .to raise_error(ArgumentError, "within takes seconds, not #{within.inspect}")
    end
  end
end
