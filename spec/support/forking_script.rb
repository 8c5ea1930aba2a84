# frozen_string_literal: true

# A process that uses the proxy and forks: `script(text)` runs the text in one, with what PRELUDE
# defines, against `upstream`.
RSpec.shared_context "with a forking script" do
  prelude = <<~'RUBY'
    require "rack/mock"
    require "timeout"
    $stdout.sync = true
    def proxy(**settings, &block)
      block ||= ->(request) { ENV.fetch("UPSTREAM") + request.fullpath }
      Rack::StreamingProxy::Proxy.new(proc {}, logger: Logger.new(nil), **settings, &block)
    end
    APP = proxy

    def open_body(path, app = APP)
      app.call(Rack::MockRequest.env_for(path)).last
    end

    def get(path, app = APP)
      status, _, body = app.call(Rack::MockRequest.env_for(path))
      text = +""
      body.each { |chunk| text << chunk; yield text if block_given? }
      body.close if body.respond_to?(:close)
      [status, text]
    end

    def read(body)
      text = +""
      body.each { |chunk| text << chunk }
      text
    end

    def wait_for(pid)
      Process.wait(pid)
      $?.success?
    end

    # Asks until the answer is truthy: of what no event tells.
    def soon(seconds = 10)
      deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + seconds
      until (answer = yield)
        return false if Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline
        sleep 0.01
      end
      answer
    end

    # What this process has open beside files.
    def descriptors
      links = Dir["/proc/self/fd/*"].map { |path| File.readlink(path) rescue "" }
      links.grep(/\A(?:socket|anon_inode):/).map { |link| link.sub(/\[\d+\]/, "") }.sort
    end

    def engine_threads
      Dir["/proc/self/task/*/comm"].map { |path| File.read(path) }.grep(/rsp-/).size
    end
  RUBY

  # /whole answers; /stream sends "a", and after /go "b"; /hang never goes on; /silent says nothing;
  # /late sends "a" after /go, and breaks off; /upgrade changes protocols, and resets the connection
  # after one byte; /ended tells whether the first connection has ended.
  let(:upstream) do
    start_upstream do |connection|
      loop do
        case connection.read_head(within: 30).target
        when "/whole" then connection.respond(200, {}, "whole")
        when "/bulk" then connection.respond(200, {}, bulk)
        when "/stream" then stream(connection, go_on[:parent])
        when "/stream/child" then stream(connection, go_on[:child])
        when %r{/go/(.*)}
          go_on[Regexp.last_match(1).to_sym] << true
          connection.respond
        when "/ended" then connection.respond(200, {}, (!upstream.connections[0].ending.nil?).to_s)
        when "/late"
          go_on[:parent].pop(within: 20)
          connection.begin_chunked
          connection.chunk("a").close
        when "/upgrade"
          connection.write(Tunnels::SWITCH % "websocket").read_exactly(1, within: 30)
          connection.reset
        when "/silent" then connection.wait_for_end(within: 30)
        when "/hang"
          connection.begin_chunked
          connection.chunk("a")
          connection.wait_for_end(within: 30)
        end
      end
    end
  end

  let!(:go_on) do
    { parent: EventQueue.new("parent's sign"), child: EventQueue.new("child's sign") }
  end

  let!(:bulk) { Random.new(1).bytes(700_000) }

  def stream(connection, sign)
    connection.begin_chunked
    connection.chunk("a")
    sign.pop(within: 20)
    connection.chunk("b")
    connection.end_chunked
  end

  define_method(:script) do |text, within: 15|
    RubyScript.run(prelude + text, env: { "UPSTREAM" => upstream.url("") }, within:)
  end
end
