# frozen_string_literal: true

# A short Ruby text run in a process of its own, for what ends, forks or daemonizes a process.
class RubyScript
  Result = Struct.new(:status, :output, :seconds)

  # @return [Result] status is nil when the process did not end in time
  def self.run(text, env: {}, within: 20)
    started = Deadline.now
    process = RubyProcess.new("-r", "rack/streaming_proxy", "-e", text, env:)
    status = process.wait(within:)
    seconds = Deadline.now - started
    process.output.ended?(within: [within - seconds, 0.1].max)
    Result.new(status, process.output.to_s, seconds)
  ensure
    process&.stop(signal: "KILL")
  end
end
