# frozen_string_literal: true

require_relative "support/instrumented_calls"

RSpec.describe Rack::StreamingProxy::Proxy, "and ActiveSupport::Notifications" do
  include InstrumentedCalls

  describe "request.streaming_proxy" do
    it "tells method, upstream, status, bytes, attempts and delivery" do
      fetch(proxy, "/", method: "POST", input: "abc")
      expect(payload).to include(
        method: "POST", upstream: upstream.url("").chomp("/"), url: upstream.url("/path"),
        status: 200, bytes_up: 3, bytes_down: 8, attempts: 1, reused: false, delivery: :body,
        complete: true, aborted_by: nil, logger:
      )
      expect(payload.keys & %i[error exception exception_object]).to be_empty
    end

    it "tells of a connection that was used again" do
      app = proxy
      2.times { fetch(app) }
      expect(requests.payloads.map { |payload| payload[:reused] }).to eq([false, true])
    end

    it "tells the seconds of each phase" do
      taken = EventQueue.new("head taken")
      upstream = start_upstream do |connection|
        connection.read_head
        sleep 0.15
        connection.begin_chunked
        taken.pop
        sleep 0.1
        connection.end_chunked
      end
      body = proxy(upstream.url).call(env_for).last
      taken << true
      read(body)
      timings = payload[:timings]
      expect(timings.values).to all(be_a(Float))
      expect(timings[:connect]).to be > 0
      expect(timings[:head]).to be >= 0.15
      expect(timings[:body]).to be >= 0.1
      expect(requests.events.first.duration / 1000).to be >= timings.values.sum - 0.001
    end

    it "is finished when the body is closed, not before, and once" do
      _, _, body = proxy.call(env_for)
      body.each(&:itself)
      expect(requests.events).to be_empty
      2.times { body.close }
      expect(payload[:complete]).to be(true)
    end

    it "is not finished while the body is still to be read" do
      _, _, body = proxy.call(env_for)
      expect(requests.events).to be_empty
      body.close
      expect(payload).to include(status: 200, complete: false)
    end

    it "is finished with the head of a response that has no body" do
      proxy.call(env_for("/", method: "HEAD"))
      expect(payload).to include(method: "HEAD", status: 200, bytes_down: 0, complete: true)
      expect(payload[:timings][:body]).to be_a(Float)
    end

    it "holds no secret of the URL" do
      fetch(proxy(upstream.url("/path?token=s3cret").sub("//", "//user:s3cret@")))
      expect(payload[:url]).to eq(upstream.url("/path"))
      expect(payload.except(:logger).inspect).not_to include("s3cret")
    end

    it "gives subscribers of each kind the time that it took" do
      seconds = nil
      subscribe("request.streaming_proxy") { |_, start, ending, _, _| seconds = ending - start }
      most = elapsed { fetch(proxy) }
      least = payload[:timings].values.sum
      expect([seconds, requests.events.first.duration / 1000])
        .to all(be_between(least - 0.001, most + 0.001))
    end

    it "is told for what is answered here" do
      fetch(proxy, "/", method: "TRACE", "HTTP_MAX_FORWARDS" => "0")
      expect(payload).to include(status: 200, attempts: 0, bytes_down: 0, complete: true)
    end

    it "is not told for a request that is passed on" do
      fetch(described_class.new(InnerApp, logger:) { nil })
      expect(requests.events).to be_empty
    end
  end

  describe "on failures" do
    def expect_failure(status:, error:, raised: error)
      expect(payload).to include(status:, error: "Rack::StreamingProxy::#{error}", complete: false)
      name, message = payload[:exception]
      expect(name).to eq("Rack::StreamingProxy::#{raised}")
      expect(payload[:exception_object]).to have_attributes(class: Object.const_get(name), message:)
      told = payload.slice(:method, :upstream, :url, :status, :error, :exception, :exception_object)
      expect(errors.payloads).to match([include(told)])
    end

    it "tells which, with the status that the client sees" do
      fetch(proxy("http://127.0.0.1:#{closed_port}/"))
      expect_failure(status: 502, error: "ConnectError")
      expect(payload[:attempts]).to eq(1)
    end

    it "tells of what is raised" do
      app = proxy("http://127.0.0.1:#{closed_port}/", raise_on_error: true)
      expect { fetch(app) }.to raise_error(Rack::StreamingProxy::ConnectError)
      expect_failure(status: 502, error: "ConnectError")
    end

    it "tells of a 5xx that is raised" do
      failing = serving { [503, {}, ""] }
      expect { fetch(proxy(failing.url, raise_on_5xx: true)) }
        .to raise_error(Rack::StreamingProxy::HttpServerError)
      expect_failure(status: 503, error: "HttpServerError")
    end

    it "tells of a request that is refused here" do
      fetch(proxy, "/", "HTTP_HOST" => "two hosts")
      expect_failure(status: 400, error: "RequestError")
    end

    it "tells why a response was cut short" do
      expect { fetch(proxy(cutting_upstream.url)) }.to raise_error(EOFError)
      expect_failure(status: 200, error: "ProtocolError", raised: "BodyError")
      expect(payload[:bytes_down]).to eq(3)
    end

    it "tells of what a callable of the application raises; its status is the application's" do
      app = proxy(on_request: ->(_) { raise KeyError, "mine" })
      expect { fetch(app) }.to raise_error(KeyError)
      expect(payload).to include(status: nil, error: "KeyError", exception: %w[KeyError mine])
      expect(logger.lines.last).to match(/\AERROR .*Failed.*status none.*: KeyError\z/)
    end
  end

  describe "when the client or the thread is gone" do
    it "is finished by a server that gives up in mid-body" do
      _, _, body = proxy(silent_upstream.url).call(env_for)
      leave = ->(_chunk) { raise Errno::EPIPE }
      expect { body.each(&leave) }.to raise_error(Errno::EPIPE)
      body.close
      expect(payload).to include(status: 200, bytes_down: 3, complete: false)
      expect(errors.events).to be_empty
    end

    it "is finished by a thread that is killed in mid-body" do
      started = EventQueue.new
      thread = in_thread do
        proxy(silent_upstream.url).call(env_for).last.each { started << true }
      end
      started.pop
      thread.kill.join
      expect(payload).to include(status: 200, bytes_down: 3, complete: false)
    end

    it "is finished by a thread that is killed while it waits for the head" do
      asked = EventQueue.new
      upstream = start_upstream do |connection|
        connection.read_head
        asked << true
        connection.wait_for_end(within: 20)
      end
      thread = in_thread { proxy(upstream.url).call(env_for) }
      asked.pop
      thread.kill.join
      expect(payload).to include(status: nil, attempts: 1, bytes_down: 0, complete: false)
      expect(payload[:timings].slice(:connect, :head).values).to all(be > 0)
      expect(logger.lines.last).to match(/Finishing.*status none.*given up before its head/)
    end

    it "tells of a client that has left before the head, and of no error" do
      upstream = start_upstream do |connection|
        connection.read_head
        connection.wait_for_end(within: 20)
      end
      server = start_puma(<<~RUBY, env: { "UPSTREAM" => upstream.url })
        require "active_support"
        require "active_support/notifications"
        require "rack/streaming_proxy"
        ActiveSupport::Notifications.subscribe(/streaming_proxy/) do |name, *, payload|
          puts [name, payload[:status], payload[:error]].join(" ")
        end
        run Rack::StreamingProxy::Proxy.new(nil, logger: Logger.new(nil)) { ENV["UPSTREAM"] }
      RUBY
      client = connect(server)
      client.get("/")
      upstream.wait_for_request
      client.close
      expect(server.output.wait_for(/^request.*$/)[0])
        .to eq("request.streaming_proxy 499 Rack::StreamingProxy::ClientGone")
      expect(server.output.to_s).not_to match(/^error\./)
    end
  end

  describe "retry.streaming_proxy" do
    it "is told for each attempt that another one followed" do
      count = 0
      failing = serving { (count += 1) < 3 ? [503, {}, ""] : [200, {}, ""] }
      fetch(proxy(failing.url("/a?b"), num_retries_on_5xx: 5, retry_delay: 0))
      expect(retries.payloads.map { |payload| payload.values_at(:attempt, :status, :reused) })
        .to eq([[1, 503, false], [2, 503, true]])
      expect(retries.payloads).to all(include(message: nil, url: failing.url("/a")))
      expect(retries.payloads.flat_map { |payload| payload[:timings].values }).to all(be_a(Float))
      expect(payload).to include(attempts: 3, status: 200)
    end

    it "tells why a kept connection was given up" do
      count = 0
      dying = start_upstream do |connection|
        connection.serve { (count += 1) == 2 ? connection.close : [200, {}, "ok"] }
      end
      app = proxy(dying.url)
      2.times { fetch(app) }
      expect(retries.payloads).to match([include(status: nil, message: /closed the connection/,
                                                 reused: true)])
    end
  end

  it "leaves a request to its own process when a callable forks and its child exits" do
    result = RubyScript.run(<<~RUBY, env: { "UPSTREAM" => upstream.url })
      require "rack/mock"
      require "active_support"
      require "active_support/notifications"
      $stdout.sync = true
      ActiveSupport::Notifications.subscribe("request.streaming_proxy") do |event|
        puts "event \#{event.payload[:status].inspect}"
      end
      asked = ->(*) { fork ? Process.wait : exit }
      app = Rack::StreamingProxy::Proxy.new(nil, allow_destinations: asked) { ENV["UPSTREAM"] }
      app.call(Rack::MockRequest.env_for("/")).last.tap { |body| body.each {} }.close
    RUBY
    expect(result.output.lines(chomp: true).grep(/event|Finishing|rror/))
      .to match(["event 200", /Finishing.*status 200/])
  end
end
