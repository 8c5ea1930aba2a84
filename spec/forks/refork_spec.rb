# frozen_string_literal: true

# A server that reforks takes a process that has served and forks the next ones from it, again and
# again: Pitchfork from a worker to a mold and from there to workers.
RSpec.describe "Generations of processes that refork" do
  include_context "with a forking script"

  # Each generation has served, and forks the next one amid an open stream.
  generations = <<~RUBY
    generation = lambda do |number|
      body = open_body("/hang")
      facts = [number, get("/whole").last, get("/bulk").last.bytesize]
      body.close if DRAIN
      facts << (!DRAIN || Rack::StreamingProxy.drain(within: 5)) << descriptors.size - FIRST
      p facts
      number.zero? || exit!(wait_for(fork { exit!(generation.call(number - 1)) }))
    end
    Thread.new {}.join
    FIRST = descriptors.size
  RUBY

  it "all serve, each on connections of its own, and leave the others' alone", id: "CN9" do
    result = script(<<~RUBY)
      DRAIN = false
      #{generations}
      p wait_for(fork { exit!(generation.call(4)) })
    RUBY
    facts = result.output.scan(/\[(\d), "whole", 700000, true, (\d+)\]/)
    expect(facts.map(&:first)).to eq(%w[4 3 2 1 0])
    expect(result.output).to end_with("]\ntrue\n")
    expect(upstream.connections.size).to eq(10)
    # Those of ancestors that have ended are not held open by the generations after them.
    expect(upstream.connections.map(&:wait_for_end))
      .to all(be_truthy)
    # Each generation inherits the bell of the open stream, and what the last engine waited with.
    expect(facts.map { |_, count| count.to_i }.each_cons(2).map { |a, b| b - a }).to all(be <= 5)
  end

  it "inherit nothing where each is drained before it forks" do
    result = script(<<~RUBY)
      DRAIN = true
      #{generations}
      p wait_for(fork { exit!(generation.call(4)) })
    RUBY
    facts = 4.downto(0).map { |number| %([#{number}, "whole", 700000, true, 0]\n) }
    expect(result.output).to eq("#{facts.join}true\n")
  end
end
