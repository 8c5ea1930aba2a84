# frozen_string_literal: true

RSpec.describe "A hundred forks under load" do
  include_context "with a forking script"

  # Children of all kinds: some ask the upstream, some let the garbage collector at what they have
  # inherited, some end by a signal.
  load = <<~'RUBY'
    bodies = Queue.new
    stop = false
    expected = get("/bulk")
    streams = Array.new(3) do
      Thread.new { (bodies << (get("/bulk") == expected)) until stop }
    end
    kinds = [-> { exit!(get("/whole") == [200, "whole"]) }, -> { GC.start }, -> { exit!(true) },
             -> { Process.kill("KILL", $$) }]
    fork_all = lambda do |count|
      count.times do |number|
        Process.wait(fork(&kinds[number % kinds.size]))
        status = $?
        p status unless status.success? || status.termsig == 9
      end
    end
  RUBY

  it "leak nothing in the parent, whose streams go on byte for byte", id: "CN9" do
    result = script(<<~RUBY, within: 50)
      #{load}
      lives = fork { sleep }
      fork_all.call(100)
      stop = true
      streams.each(&:join)
      p bodies.size >= 3, Array.new(bodies.size) { bodies.pop }.uniq
      # The idle connections of the three streams, while a child lives that has inherited them.
      p Rack::StreamingProxy.stats[:errors], Rack::StreamingProxy.drain(within: 5)
      Process.kill("KILL", lives)
      Process.wait(lives)
      p Process.waitall, engine_threads
    RUBY
    expect(result.output).to eq(<<~TEXT)
      true
      [true]
      {}
      true
      []
      0
    TEXT
    of_parent, of_children = upstream.connections.partition do |connection|
      connection.heads.any? { |head| head.target == "/bulk" }
    end
    expect(of_parent.size).to be <= 4
    expect(of_children.size).to eq(25)
    expect(of_children.map { |connection| connection.heads.size }.uniq).to eq([1])
  end

  it "leave the parent no descriptor, no thread, no zombie and no memory" do
    result = script(<<~RUBY, within: 50)
      #{load}
      facts = lambda do
        GC.start
        [Dir.children("/proc/self/fd").size, Dir.children("/proc/self/task").size]
      end
      resident = -> { File.read("/proc/self/statm").split[1].to_i * 4 }
      stop = true
      streams.each(&:join)
      rounds = Array.new(2) do
        open = Array.new(3) { open_body("/hang") }
        fork_all.call(100)
        open.each(&:close)
        soon { Rack::StreamingProxy.stats[:exchanges].zero? }
        [*facts.call, resident.call]
      end
      descriptors, threads, resident = rounds.transpose
      p descriptors.last <= descriptors.first || rounds
      p threads.last <= threads.first || rounds
      p resident.last - resident.first < 4 * 1024 || rounds
      p Dir["/proc/self/task/*/children"].map { |path| File.read(path) }.join
    RUBY
    expect(result.output).to eq(%(true\ntrue\ntrue\n""\n))
  end
end
