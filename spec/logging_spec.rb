# frozen_string_literal: true

RSpec.describe Rack::StreamingProxy::Proxy, "and its log" do
  prefix = "[Rack::StreamingProxy] "

  let(:logger) { InProcessCalls::RecordingLogger.new }
  let(:upstream) do
    serving do |request|
      [200, { "Set-Cookie" => "s3t=1", "X-Answered" => "yes" }, "12345#{request.body}"]
    end
  end
  let(:url) { upstream.url("/path") }

  def log(path = "/", options = {}, **settings)
    fetch(described_class.new(InnerApp, logger:, **settings) { url }, path, options)
    logger.lines
  end

  it "has a line for the start and one for the finish" do
    lines = log
    expect(lines.size).to eq(2)
    expect(lines).to all(match(/\AINFO #{Regexp.escape(prefix)}/))
    expect(lines[0]).to match(/start/i).and include(url)
    expect(lines[1]).to match(/finish/i).and include(url)
  end

  it "tells status, bytes, milliseconds and attempts at the finish" do
    line = log.last
    expect(line).to match(/\b200\b/)
    expect(line).to match(/\b5 ?(B|bytes)\b|bytes[=: ]+5\b/i)
    expect(line).to match(/\d+(\.\d+)? ?ms/)
    expect(line).to match(/\b1 attempt|attempts?[=: ]+1\b/i)
  end

  it "loses no exception that another thread raises in this one meanwhile" do
    thread = Thread.current
    device = Object.new
    device.define_singleton_method(:write) { |_| Thread.new { thread.raise(Interrupt) }.join }
    device.define_singleton_method(:close) { nil }
    proxy = described_class.new(InnerApp, logger: Logger.new(device)) { url }
    expect { proxy.call(env_for) }.to raise_error(Interrupt)
  end

  it "writes the finish when the body has ended, not before" do
    _, _, body = described_class.new(InnerApp, logger:) { url }.call(env_for)
    expect(logger.lines.size).to eq(1)
    read(body)
    body.close
    expect(logger.lines.size).to eq(2)
    body.close
    expect(logger.lines.size).to eq(2)
  end

  it "has a line for each retry" do
    count = 0
    failing = serving { (count += 1) < 3 ? [503, {}, ""] : [200, {}, ""] }
    app = described_class.new(InnerApp, logger:, num_retries_on_5xx: 5, retry_delay: 0.01) do
      failing.url
    end
    fetch(app)
    retries = logger.lines.grep(/503.*retry/i)
    expect(retries.size).to eq(2)
    expect(retries).to all(match(/\AINFO #{Regexp.escape(prefix)}/))
    expect(logger.lines.last).to match(/3 attempt|attempts?[=: ]+3\b/i)
  end

  it "counts the attempt that total_timeout ended" do
    count = 0
    upstream = start_upstream do |connection|
      connection.read_head
      next connection.wait_for_end(within: 20) if (count += 1) == 2

      connection.respond(503, { "Connection" => "close" }, "")
    end
    settings = { num_retries_on_5xx: 1, retry_delay: 0, total_timeout: 0.3 }
    fetch(described_class.new(InnerApp, logger:, **settings) { upstream.url })
    expect(logger.lines.grep(/Got 503, retrying \(Retry #1\)/).size).to eq(1)
    expect(logger.lines.last).to match(/\AERROR .*2 attempts.*total_timeout/)
  end

  it "has a line for a kept connection that failed, with the cause" do
    requests = 0
    dying = start_upstream do |connection|
      connection.serve { (requests += 1) == 2 ? connection.close : [200, {}, "ok"] }
    end
    2.times { fetch(described_class.new(InnerApp, logger:) { dying.url }) }
    line = /\AINFO .*Failed \(upstream http:\S+ closed the connection.*\), retrying \(Retry #1\)/
    expect(logger.lines.grep(/retry/i)).to match([line])
  end

  it "has an error line when the upstream fails, with the cause" do
    app = described_class.new(InnerApp, logger:) { "http://127.0.0.1:#{closed_port}/" }
    fetch(app)
    errors = logger.lines.grep(/\AERROR/)
    expect(errors.size).to eq(1)
    expect(errors.first).to start_with("ERROR #{prefix}").and match(/refused/)
  end

  it "has an error line when the body is cut short" do
    cutting = start_upstream do |connection|
      connection.read_head
      connection.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
    end
    app = described_class.new(InnerApp, logger:) { cutting.url }
    expect { fetch(app) }.to raise_error(EOFError)
    expect(logger.lines.grep(/\AERROR #{Regexp.escape(prefix)}/).size).to eq(1)
  end

  describe "when the logger raises" do
    let(:logger) do
      Class.new(InProcessCalls::RecordingLogger) do
        attr_accessor :broken

        %i[debug info warn error].each do |level|
          define_method(level) { |*arguments| broken ? raise("broken") : super(*arguments) }
        end
      end.new
    end
    let(:cutting) do
      start_upstream do |connection|
        connection.read_head
        connection.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
      end
    end
    let(:body) do
      described_class.new(InnerApp, logger:) { cutting.url }.call(env_for).last
                     .tap { logger.broken = true }
    end

    it "still tells the server that the body was cut short" do
      expect { expect { read(body) }.to raise_error(Rack::StreamingProxy::BodyError) }
        .to output(/broken/).to_stderr
    end

    it "still answers, from the beginning" do
      logger.broken = true
      app = described_class.new(InnerApp, logger:) { "http://127.0.0.1:#{closed_port}/" }
      expect { expect(fetch(app).status).to eq(502) }.to output(/broken/).to_stderr
    end

    it "does not raise from close" do
      expect { expect { body.close }.not_to raise_error }.to output(/broken/).to_stderr
    end
  end

  it "says nothing of a request that is passed on" do
    fetch(described_class.new(InnerApp, logger:) { nil })
    expect(logger.lines).to be_empty
  end

  it "has no debug lines with :low" do
    expect(log(log_verbosity: :low).grep(/\ADEBUG/)).to be_empty
  end

  describe "with log_verbosity :high" do
    let(:secrets) do
      { "HTTP_AUTHORIZATION" => "Bearer s3cret-a", "HTTP_COOKIE" => "id=s3cret-c",
        "HTTP_PROXY_AUTHORIZATION" => "Basic s3cret-p", "HTTP_X_SEEN" => "yes" }
    end
    let(:lines) { log("/", secrets, log_verbosity: :high) }

    it "dumps the headers of request and response as debug lines" do
      dump = lines.grep(/\ADEBUG/).join("\n")
      expect(dump).to match(/x-seen\W+yes/i)
      expect(dump).to match(/x-answered\W+yes/i)
    end

    it "filters secrets" do
      text = lines.join("\n")
      expect(text).not_to match(/s3cret|s3t=/)
      expect(text).to match(/authorization\W+\[FILTERED\]/i)
      expect(text).to match(/^.*(?<!set-)cookie\W+\[FILTERED\]/i)
      expect(text).to match(/set-cookie\W+\[FILTERED\]/i)
    end

    it "filters the credentials of the URL" do
      app = described_class.new(InnerApp, logger:, log_verbosity: :high) do
        upstream.url("/", credentials: "user:s3cret")
      end
      fetch(app)
      expect(logger.lines.join).not_to match(/s3cret|#{["user:s3cret"].pack("m0")}/)
    end

    it "filters the credentials of a URL in a header" do
      pointing = serving { [302, { "Location" => "http://user:s3cret@there.test/x" }, ""] }
      app = described_class.new(InnerApp, logger:, log_verbosity: :high) { pointing.url }
      answer = fetch(app, "/", "HTTP_REFERER" => "https://user:s3cret@here.test/y")
      expect(answer["Location"]).to eq("http://user:s3cret@there.test/x")
      expect(pointing.wait_for_request["referer"]).to eq("https://user:s3cret@here.test/y")
      expect(logger.lines.join).to include("there.test/x", "here.test/y")
      expect(logger.lines.join).not_to include("s3cret")
    end

    it "takes header values in any encoding" do
      headers = { "HTTP_X_LATIN" => "caf\xE9".b, "HTTP_X_UTF8" => "grün", "HTTP_X_BAD" => "\xFF" }
      text = log("/", headers, log_verbosity: :high).join("\n")
      expect(text).to be_valid_encoding
      expect(text).to include("x-latin: caf?", "x-utf8: grün")
    end

    it "keeps every record one line, and each with the prefix" do
      expect(lines).to all(match(/\A[A-Z]+ #{Regexp.escape(prefix)}/))
    end

    it "keeps a log line one line whatever the URL holds" do
      app = described_class.new(InnerApp, logger:, log_verbosity: :high) do
        upstream.url("/a%0d%0ab")
      end
      fetch(app)
      expect(logger.lines).to all(include(prefix))
    end
  end

  it "is not disturbed by a level of the logger that drops lines" do
    logger.level = Logger::FATAL
    expect(log).to be_empty
  end

  it "writes to standard output by default" do
    result = RubyScript.run(<<~RUBY, env: { "UPSTREAM" => url })
      require "rack/mock"
      app = Rack::StreamingProxy::Proxy.new(proc {}) { ENV.fetch("UPSTREAM") }
      app.call(Rack::MockRequest.env_for("/")).last.tap { |body| body.each {} }.close
    RUBY
    expect(result.output.lines.grep(/\[Rack::StreamingProxy\]/).size).to eq(2)
  end
end
