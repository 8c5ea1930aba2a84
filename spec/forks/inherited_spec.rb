# frozen_string_literal: true

# What a process has is copied at a fork: its connections stay its own.
RSpec.describe "What a child inherits" do
  include_context "with a forking script"

  it "holds no connection open when the parent has ended", id: "CN9" do
    result = script(<<~RUBY)
      open_body("/hang")
      open_body("/hang")
      get("/whole")
      reader, writer = IO.pipe
      child = fork do
        # Of a group of its own, it is not ended with its parent.
        Process.setsid
        [$stdout, $stderr].each { |io| io.reopen(File::NULL) }
        writer.write "x"
        sleep
      end
      reader.read(1)
      puts child
      Process.kill("KILL", $$)
    RUBY
    expect(result.status.termsig).to eq(9)
    child = result.output.to_i
    expect(File.exist?("/proc/#{child}")).to be(true)
    expect(upstream.connections.size).to eq(3)
    expect(upstream.connections.map(&:wait_for_end))
      .to all(be_truthy)
  ensure
    Process.kill("KILL", child) if child
  end

  it "holds no connection open after Process.daemon" do
    result = script(<<~RUBY)
      open_body("/hang")
      get("/whole")
      Process.daemon(true, true)
      p soon { get("/ended").last == "true" }
      p get("/whole")
    RUBY
    expect(result.output).to eq(%(true\n[200, "whole"]\n))
  end

  it "is no socket, and no bell once garbage has been collected" do
    result = script(<<~RUBY)
      Thread.new {}.join
      before = descriptors
      bodies = Array.new(3) { open_body("/hang") }
      get("/whole")
      child = fork do
        of_sockets = ->(links) { links.grep(/\\Asocket:/).size }
        p of_sockets.call(descriptors) - of_sockets.call(before)
        bodies.first.close
        bodies = nil
        bells = ->(links) { links.grep(/eventfd/).size }
        held = bells.call(descriptors)
        GC.start
        # Three bells; that of the engine's own is not ours to close.
        p held - bells.call(descriptors)
      end
      p wait_for(child)
      bodies.each(&:close)
    RUBY
    sockets, bells, success = result.output.lines(chomp: true)
    expect([sockets, success]).to eq(%w[0 true])
    # What the machine stack still shows to the garbage collector stays.
    expect(bells.to_i).to be_between(1, 2)
  end

  it "is not what a child opens under the same numbers" do
    result = script(<<~RUBY)
      body = open_body("/hang")
      child = fork do
        reader, writer = IO.pipe
        files = Array.new(20) { File.open("/dev/null") }
        body.close
        body = nil
        GC.start
        writer.write "still open"
        writer.close
        p reader.read, files.map(&:stat).uniq(&:ino).size
      end
      p wait_for(child)
    RUBY
    expect(result.output).to eq(%("still open"\n1\ntrue\n))
  end

  it "is nothing for a program that is executed" do
    result = script(<<~RUBY)
      list = -> { IO.popen(["ls", "/proc/self/fd"], &:read) }
      before = list.call
      body = open_body("/hang")
      get("/whole")
      p list.call == before
      reader, writer = IO.pipe
      fork { exec("ls", "/proc/self/fd", out: writer) }
      writer.close
      p reader.read == before
      body.close
    RUBY
    expect(result.output).to eq("true\ntrue\n")
  end

  it "counts nothing" do
    result = script(<<~RUBY)
      body = open_body("/hang")
      get("/whole")
      facts = -> { Rack::StreamingProxy.stats.values.grep(Integer).sum }
      p wait_for(fork do
        p facts.call
        body = nil
        GC.start
        p facts.call, get("/whole")
        p Rack::StreamingProxy.stats.values_at(:started, :bytes_down)
      end)
      p facts.call.positive?
    RUBY
    expect(result.output).to eq(%(0\n0\n[200, "whole"]\n[1, 5]\ntrue\ntrue\n))
  end

  it "is of no use, and no harm, to nested children" do
    result = script(<<~RUBY)
      body = open_body("/stream")
      nested = lambda do |depth|
        get("/whole")
        body.close
        depth.zero? || wait_for(fork { exit!(nested.call(depth - 1)) })
      end
      p wait_for(fork { exit!(nested.call(4)) })
      get("/go/parent")
      p read(body)
    RUBY
    expect(result.output).to eq(%(true\n"ab"\n))
    # Three of the parent at the most, and one of each child: nobody takes another's.
    expect(upstream.requests.count { |head| head.target == "/whole" }).to eq(5)
  end
end
