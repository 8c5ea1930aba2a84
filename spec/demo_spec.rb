# frozen_string_literal: true

# bin/demo as its users run it, and the proof that each of its checks can fail.
RSpec.describe "bin/demo", matrix: false do
  def demo(*arguments, **env)
    keep RubyProcess.new("-e", 'exec("bin/demo", *ARGV)', "--", *arguments,
                         env: { "DEMO_BYTES" => "32M" }.merge(env.transform_keys(&:to_s)))
  end

  # Runs the demo to its end.
  # @return [Array(Integer, String)] the exit status and what it printed
  def perform(*arguments, **env)
    process = demo(*arguments, **env)
    status = process.wait(within: 45) or raise "still running after:\n#{process.output}"
    process.output.ended?(within: 20)
    [status.exitstatus, process.output.to_s]
  end

  # @return [Hash{String => Array<String>}] the titles in the summary by "ok" and "FAILED"
  def outcomes(output)
    rows = output[/^Summary\n((?: .+\n)+)/, 1].scan(/^  (ok|FAILED) +(\S+(?: \S+)*)  +\S/)
    rows.group_by(&:first).transform_values { |group| group.map(&:last) }
  end

  def listening?(port)
    TCPSocket.new("127.0.0.1", port).close
    true
  rescue Errno::ECONNREFUSED
    false
  end

  shows = ["Slow stream", "Server-sent events", "Upload echoed back", "Download", "Proxy memory",
           "Servers"]

  it "shows everything, passes its own checks and leaves nothing behind" do
    Dir.mktmpdir do |directory|
      status, output = perform(TMPDIR: directory)
      expect(outcomes(output)).to eq("ok" => shows)
      expect(output).to match(/^6 of 6 checks passed in \d+\.\d s$/)
      expect(status).to eq(0)
      expect(Dir.children(directory)).to be_empty
      output.scan(/, process (\d+)$/) { expect(File.exist?("/proc/#{_1.first}")).to be(false) }
    end
  end

  it "shows the chunks when they arrive, not at the end" do
    process = demo
    process.output.wait_for(/chunk 2 of 6 .* ms after it was sent/, within: 30)
    expect(process.output.to_s).not_to include("chunk 5 of 6")
    expect(process.wait(within: 30)).to be_success
  end

  {
    "buffer" => ["32M", ["Slow stream", "Server-sent events"], "held back"],
    "cut" => ["32M", ["Slow stream", "Server-sent events", "Upload echoed back", "Download"],
              "cut short after"],
    "corrupt" => ["32M", ["Upload echoed back", "Download"], "SHA-256 differs"],
    "grow" => ["256M", ["Proxy memory"], "grew by more than 96 MiB"]
  }.each do |fault, (bytes, failing, reason)|
    it "notices DEMO_SABOTAGE=#{fault}" do
      status, output = perform(DEMO_SABOTAGE: fault, DEMO_BYTES: bytes)
      expect(outcomes(output)).to eq("ok" => shows - failing, "FAILED" => failing)
      expect(output).to match(/^  FAILED  #{failing.first} .*#{reason}/)
      expect(status).to eq(1)
    end
  end

  it "fails when a server ends by itself" do
    process = demo
    pid = process.output.wait_for(/^proxy .* process (\d+)$/, within: 30)[1].to_i
    process.output.wait_for(/chunk 1 of 6/)
    process.signal("KILL", pid)
    expect(process.wait(within: 30).exitstatus).to eq(1)
    expect(process.output.to_s).to match(/FAILED  Servers .*the proxy .* by signal 9$/)
  end

  it "refuses what it does not know" do
    expect(perform("loudly")).to match([2, %r{\AUsage: bin/demo}])
    expect(perform(DEMO_BYTES: "much")).to match([2, /not a size .*"much"/])
    expect(perform(DEMO_SABOTAGE: "twist")).to match([2, /buffer, cut, corrupt, grow, not "twist"/])
    expect(perform("--help")).to match([0, %r{\AUsage: bin/demo}])
  end

  %w[TERM INT].each do |signal|
    it "serves until #{signal}, then ends its servers and itself with status 0" do
      process = demo("serve")
      found = process.output.wait_for(%r{curl -N http://127\.0\.0\.1:(\d+)/slow_stream}, within: 30)
      port = found[1].to_i
      RawClient.open(port) do |client|
        client.get("/3")
        expect(client.read_response.body).to include("line 3 of 3")
      end
      process.signal(signal)
      expect(process.wait(within: 10)).to be_success
      expect(listening?(port)).to be(false)
    end
  end
end
