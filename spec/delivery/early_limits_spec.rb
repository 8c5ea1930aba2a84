# frozen_string_literal: true

# What becomes of those that wait for a head when there is no more to be had: time, or descriptors.
RSpec.describe Rack::StreamingProxy::Early, "at its limits" do
  it "answers what waits for a head when the process ends" do
    upstream = start_upstream { |connection| connection.read_head && connection.wait_for_end }
    server = start_puma(RackupText.proxy("delivery: :early, drain_timeout: 0"),
                        threads: 1, env: { "UPSTREAM" => upstream.url("") })
    client = connect(server).tap(&:get)
    upstream.wait_for_request
    other = connect(server).tap { |one| one.get("/__pid") }
    expect(other.read_response(within: 10).status).to eq(200) # The only thread has left it.
    server.signal("TERM")
    expect(client.read_head(within: 10).status).to eq(503)
    expect(server.wait(within: 20)).not_to be_nil
    expect(server.output.to_s).to match(/Failed .*status 503/)
  end

  describe "when there are max_streams of them" do
    script = <<~'RUBY'
      require "rack/mock"
      require "socket"
      URL = ENV.fetch("UPSTREAM")
      SETTINGS = { max_streams: 1, logger: Logger.new(nil) }
      APP = Rack::StreamingProxy::Proxy.new(proc {}, delivery: :early, **SETTINGS) { URL }
      WAYS = { "delivery: :early" => ->(env) { APP.call(env) },
               "proxy_fetch" => ->(env) { Rack::StreamingProxy::Fetch.new(URL, env, **SETTINGS).call } }

      def ask(way)
        client, server = UNIXSocket.pair
        hijack = { "rack.hijack?" => true, "rack.hijack" => -> { server } }
        [WAYS.fetch(way).call(Rack::MockRequest.env_for("/", hijack)), client]
      end

      first = ask(ENV.fetch("FIRST"))
      status, headers, = ask("delivery: :early").first
      p [status, *headers.find { |name,| name.casecmp?("Retry-After") }]
      client = ask("proxy_fetch").last
      text = client.wait_readable(10) ? client.read : ""
      p text[%r{\AHTTP/1.1 (503) Service Unavailable\r$}, 1], text[/^Retry-After: (.*)\r$/i, 1]
      exit! # The first is still waiting.
    RUBY

    ["delivery: :early", "proxy_fetch"].each do |way|
      it "answers further ones 503 with Retry-After, while one waits for its head by #{way}" do
        upstream = start_upstream { |one| one.read_head && one.wait_for_end(within: 30) }
        env = { "UPSTREAM" => upstream.url("/"), "FIRST" => way }
        expect(RubyScript.run(script, env:).output)
          .to match(/\A\[503, "Retry-After", "1"\]\n"503"\n"1"\n\z/i)
      end
    end
  end

  describe "when the process ends while a callback blocks" do
    script = <<~'RUBY'
      require "rack/mock"
      require "socket"
      $stdout.sync = true
      client, server = UNIXSocket.pair
      env = Rack::MockRequest.env_for("/", "rack.hijack?" => true, "rack.hijack" => -> { server })
      settings = { drain_timeout: 0, logger: Logger.new($stdout) }
      blocked = Queue.new
      Rack::StreamingProxy::Fetch.new(ENV.fetch("UPSTREAM"), env, **settings) do |config|
        config.public_send(ENV.fetch("MOMENT")) { (blocked << true) && sleep }
      end.call
      blocked.pop
    RUBY

    { "on_response" => 1, "on_complete" => 0 }.each do |moment, cut|
      it "counts what has not been answered as cut: #{moment}" do
        upstream = serving { [200, {}, "text"] }
        env = { "UPSTREAM" => upstream.url("/"), "MOMENT" => moment }
        expect(RubyScript.run(script, env:).output).to match(/ by themselves, #{cut} were cut$/)
      end
    end
  end

  describe "when no descriptor is left for the engine's duplicate" do
    clients = 40

    # As many clients as more than occupy all threads of the reporters, and then no descriptors.
    script = <<~'RUBY'
      require "rack/mock"
      require "socket"
      $stdout.sync = true
      settings = { delivery: :early, max_connections: 100, logger: Logger.new($stdout) }
      APP = Rack::StreamingProxy::Proxy.new(proc {}, **settings) { ENV.fetch("UPSTREAM") }
      def ask
        client, server = UNIXSocket.pair
        hijack = { "rack.hijack?" => true, "rack.hijack" => -> { server } }
        APP.call(Rack::MockRequest.env_for("/", hijack))
        client
      end
      clients = Array.new(Integer(ENV.fetch("CLIENTS"))) { ask }
      sleep 0.01 until Rack::StreamingProxy.stats[:connections] == clients.size
      Process.setrlimit(:NOFILE, Dir.children("/proc/self/fd").size + 40)
      fill = []
      begin
        loop { fill << File.open(File::NULL) }
      rescue Errno::EMFILE
        puts "none is left"
      end
      begun = clients.map { |one| one.wait_readable(10) && one.readpartial(999) }
      refused = begun.grep(%r{\AHTTP/1.1 503 Service Unavailable\r$})
      p begun.compact.size, refused.any?, refused.grep_v(/^Retry-After: 1\r$/i).size
      fill.each(&:close)
      puts ask.then { |one| one.wait_readable(10) && one.readpartial(999).lines.first }
    RUBY

    # Each 503 frees descriptors, which may do for the next.
    it "answers 503, and keeps the threads that run callbacks for others" do
      go = EventQueue.new("sign to go on")
      upstream = start_upstream do |connection|
        connection.read_head
        go.pop(within: 20)
        connection.begin_chunked
        connection.wait_for_end(within: 30)
      end
      env = { "UPSTREAM" => upstream.url("/"), "CLIENTS" => clients.to_s }
      process = keep(RubyProcess.new("-r", "rack/streaming_proxy", "-e", script, env:))
      process.output.wait_for(/none is left/, within: 20)
      (clients + 1).times { go << true }
      pattern = %r{^#{clients}$.*^true$.*^0$.*^HTTP/1.1 200}m
      expect(process.output.wait_for(pattern, within: 30)).to be_truthy
      expect(process.output.to_s).to match(/Failed .*status 503.*RLIMIT_NOFILE/)
    end
  end
end
