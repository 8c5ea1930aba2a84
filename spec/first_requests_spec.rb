# frozen_string_literal: true

# Law 1: the native half never blocks. A wrapped type's class must not be looked up at its first
# use: that calls Ruby under a lock, and a thread switch there would stop the process for ever.
RSpec.describe "The first requests of a process" do
  it "do not deadlock when two threads make them at once and threads switch at any call" do
    upstream = serving { "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine" }
    result = RubyScript.run(<<~RUBY, env: { "UPSTREAM" => upstream.url })
      require "rack/mock"
      app = Rack::StreamingProxy::Proxy.new(proc {}, logger: Logger.new(nil)) { ENV["UPSTREAM"] }
      TracePoint.trace(:c_call) { |call| sleep(0.05) if call.method_id == :const_get }
      threads = Array.new(2) { Thread.new { Rack::MockRequest.new(app).get("/").body } }
      puts threads.map(&:value).join(" ")
    RUBY
    expect([result.status&.exitstatus, result.output]).to eq([0, "fine fine\n"])
  end
end
