# frozen_string_literal: true

# What a process keeps of requests while the engine writes their responses.
RSpec.describe "A response that the engine writes" do
  let(:upstream) do
    start_upstream do |connection|
      connection.read_head
      connection.begin_chunked
      connection.chunk("begun")
      connection.wait_for_end(within: 30)
    end
  end

  # Responses that have begun, and how many of their requests' envs are still there: what the
  # machine stack still shows to the garbage collector stays.
  prelude = <<~'RUBY'
    require "rack/mock"
    require "socket"
    $stdout.sync = true
    URL = ENV.fetch("UPSTREAM")
    QUIET = { logger: Logger.new(nil) }
    class Mark; end

    def stream
      client, server = UNIXSocket.pair
      hijack = { "rack.hijack?" => true, "rack.hijack" => -> { server }, "mark" => Mark.new }
      answer = yield Rack::MockRequest.env_for("/", hijack)
      answer&.at(1)&.fetch("rack.hijack", nil)&.call(server)
      text = +""
      text << client.readpartial(1000) until text.include?("begun")
      client
    end

    def kept(&block)
      clients = Array.new(20) { Thread.new { stream(&block) }.value }
      50.times do
        GC.start
        break if ObjectSpace.each_object(Mark).count < 5
        sleep 0.05 # in which the reporters' threads come to their end
      end
      p [ObjectSpace.each_object(Mark).count < 5, Rack::StreamingProxy.stats[:streams], clients.size]
      exit!
    end
  RUBY

  { "delivery: :hijack" => <<~RUBY, "delivery: :early" => <<~RUBY, "proxy_fetch" => <<~RUBY }
    app = Rack::StreamingProxy::Proxy.new(proc {}, delivery: :hijack, **QUIET) { URL }
    kept { |env| app.call(env) }
  RUBY
    app = Rack::StreamingProxy::Proxy.new(proc {}, delivery: :early, **QUIET) { URL }
    kept { |env| app.call(env) }
  RUBY
    told = ->(callbacks) { callbacks.on_error { |_, responder| responder.close } }
    kept { |env| Rack::StreamingProxy::Fetch.new(URL, env, **QUIET, &told).call }
  RUBY
    .each do |way, text|
    it "holds nothing of its request's env: #{way}" do
      result = RubyScript.run(prelude + text, env: { "UPSTREAM" => upstream.url("/") })
      expect(result.output).to eq("[true, 20, 20]\n")
    end
  end
end
