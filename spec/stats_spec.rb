# frozen_string_literal: true

RSpec.describe "Rack::StreamingProxy.stats" do
  # In a process of its own, for these numbers are a process's.
  include_context "with a forking script"

  counts = "%i[started exchanges finished abandoned]"

  it "counts each exchange by how it ended" do
    result = script(<<~'RUBY')
      ended = lambda do
        soon { Rack::StreamingProxy.stats[:exchanges].zero? }
        stats = Rack::StreamingProxy.stats
        p stats.values_at(:started, :finished, :abandoned), stats[:errors]
      end
      p Rack::StreamingProxy.stats.values.uniq
      get("/whole")
      ended.call
      open_body("/hang").close
      ended.call
      app = proxy(timeout: 0.05, num_retries_on_5xx: 1) do |request|
        request.path == "/refused" ? "http://127.0.0.1:1/" : ENV.fetch("UPSTREAM") + request.path
      end
      get("/refused", app)
      2.times { get("/silent", app) }
      ended.call
    RUBY
    expect(result.output).to eq(<<~TEXT)
      [0, {}]
      [1, 1, 0]
      {}
      [2, 1, 1]
      {}
      [5, 1, 1]
      {"Rack::StreamingProxy::ConnectError"=>1, "Rack::StreamingProxy::TimeoutError"=>2}
    TEXT
  end

  it "counts a response that was cut short as BodyError, and a client that left as no error" do
    cut = start_upstream do |connection|
      connection.read_head
      connection.begin_chunked
      connection.chunk("a")
    end
    result = script(<<~RUBY)
      app = proxy { "#{cut.url}" }
      begin
        get("/", app)
      rescue Rack::StreamingProxy::BodyError
        p Rack::StreamingProxy.stats[:errors]
      end
      server, client = UNIXSocket.pair
      env = Rack::MockRequest.env_for("/silent").merge("puma.socket" => server, "HTTP_HOST" => "a",
                                                          "SERVER_PROTOCOL" => "HTTP/1.1")
      gone = Thread.new { APP.call(env) }
      soon { Rack::StreamingProxy.stats[:connections] == 1 }
      client.close
      p gone.value.first
      p Rack::StreamingProxy.stats.values_at(*#{counts}), Rack::StreamingProxy.stats[:errors].size
    RUBY
    expect(result.output).to eq(<<~TEXT)
      {"Rack::StreamingProxy::BodyError"=>1}
      499
      [2, 0, 0, 1]
      1
    TEXT
  end

  it "names errors by classes that there are, several kinds of failure by one" do
    failure = Rack::StreamingProxy::ExchangeFailure
    kinds = File.read(File.join(RubyProcess::ROOT, "ext/engine/src/error/mod.rs"))
                .scan(/Kind::\w+ => "(\w+)",/).flatten.map(&:to_sym)
    names = failure.count_by_class(kinds.to_h { |kind| [kind, 1] }.merge(cut: 0))
    classes = names.keys.map { |name| Object.const_get(name) }
    expect(classes).to all(be < Rack::StreamingProxy::Failure)
    expect(names.values.sum).to eq(kinds.size)
    expect(failure.count_by_class(resolve: 1, connect: 2, internal: 3, cut: 4)).to eq(
      "Rack::StreamingProxy::ConnectError" => 3, "Rack::StreamingProxy::UnknownError" => 3,
      "Rack::StreamingProxy::BodyError" => 4
    )
  end

  it "sums up while eight threads use the proxy, and its gauges return to zero" do
    result = script(<<~RUBY)
      threads = Array.new(8) do |number|
        Thread.new do
          10.times do |turn|
            (number + turn).even? ? get("/whole") : open_body("/hang").close
            stats = Rack::StreamingProxy.stats
            raise stats.inspect if stats.slice(:exchanges, :finished, :abandoned).values.sum > 80
          end
        end
      end
      threads.each(&:join)
      soon { Rack::StreamingProxy.stats[:exchanges].zero? }
      p Rack::StreamingProxy.stats.values_at(*#{counts})
      p Rack::StreamingProxy.drain(within: 5)
      gauges = %i[connections idle_connections waiting_requests buffer_bytes tasks]
      p Rack::StreamingProxy.stats.values_at(*gauges).uniq
    RUBY
    expect(result.output).to eq("[80, 0, 40, 40]\ntrue\n[0]\n")
  end
end
