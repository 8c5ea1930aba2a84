# frozen_string_literal: true

require "rbconfig"

# That each benchmark runs, with tiny numbers; what it measures is not judged here.
RSpec.describe "The benchmarks", matrix: false do
  {
    "aborts" => /^tunnels, the upstream leaves: +40: [+-]\d+ descriptors, [+-]\d+ threads/,
    "auto" => /^1024 +\d+ us, CPU +\d+ us/,
    "bulk" => /^:hijack +\d+\.\d+ s of CPU/,
    "slow_streams" => /^20 stalled clients: .*KiB each.*\nafter them.*^tunnels: .*KiB each/m
  }.each do |name, told|
    it "include #{name}" do
      process = keep RubyProcess.new("bench/#{name}", "--quick")
      expect(process.wait(within: 50)).to be_success
      expect(process.output.to_s).to match(told)
    end
  end
end
