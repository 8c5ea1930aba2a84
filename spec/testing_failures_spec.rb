# frozen_string_literal: true

require "rack/streaming_proxy/testing"

RSpec.describe Rack::StreamingProxy::Testing, "and a failure" do
  include StubbedCalls

  library = Rack::StreamingProxy
  base = "http://files.internal"

  define_method(:failure_of) do |app|
    fetch(app)
    nil
  rescue library::Failure => e
    e
  end

  def facts(error, url)
    [error.class, error.status, error.phase, error.cause.class,
     error.message.gsub(url.chomp("/"), "URL"), error.upstream.sub(url.chomp("/"), "URL")]
  end

  it "that is raised before the head is that of a real upstream" do
    url = "http://127.0.0.1:#{closed_port}/"
    real = failure_of(proxy { url })
    stub(url) { raise library::ConnectError }
    expect(facts(failure_of(proxy { url }), url)).to eq(facts(real, url))
    expect(facts(real, url).first(4))
      .to eq([library::ConnectError, 502, :connect, Errno::ECONNREFUSED])
  end

  {
    library::TimeoutError => [504, :head, Errno::ETIMEDOUT],
    library::TlsError => [502, :tls, NilClass],
    library::ProtocolError => [502, :head, EOFError],
    library::Overloaded => [503, :connect, NilClass],
    library::DestinationRefused => [502, :connect, NilClass]
  }.each do |error, facts|
    it "may be a #{error.name.split("::").last}" do
      stub(/./) { raise error }
      raised = failure_of(proxy)
      expect(raised).to be_an_instance_of(error)
      expect([raised.status, raised.phase, raised.cause.class]).to eq(facts)
      expect([raised.upstream, raised.message])
        .to match(["#{base}:80", start_with("upstream #{base}:80 ")])
      expect(fetch(bare { base }).status).to eq(facts.first)
    end
  end

  it "keeps the message and the phase that it was raised with" do
    stub(/./) { raise library::TimeoutError.new("slow", phase: :connect) }
    raised = failure_of(proxy)
    expect([raised.message, raised.phase, raised.upstream])
      .to eq(["slow", :connect, "#{base}:80"])
  end

  it "is logged as a real one, with its attempt" do
    logger = InProcessCalls::RecordingLogger.new
    stub(/./) { raise library::ConnectError }
    100.times { fetch(bare(logger:) { base }) }
    expect(logger.lines.grep(/Failed/))
      .to all(match(/\AERROR .*status 502, 0 bytes, \d+ ms, 1 attempt\).*ECONNREFUSED/))
  end

  it "that cuts the body is that of a real upstream" do
    upstream = start_upstream do |connection|
      connection.read_head
      connection.begin_chunked
      connection.chunk("begun")
    end
    url = upstream.url
    real = failure_of(proxy { url })
    stub(url) { [200, {}, ["begun", library::BodyError, "never"]] }
    expect(facts(failure_of(proxy { url }), url)).to eq(facts(real, url))
    expect(real).to be_an_instance_of(library::BodyError)
  end

  it "that cuts the body may come from an Enumerator, or from a length that is not kept" do
    seen = []
    stub(/enumerator/) { [200, {}, ["a", library::BodyError].each] }
    stub(/length/) { [200, { "Content-Length" => "9" }, ["a"]] }
    %w[/enumerator /length].each do |path|
      _, _, body = proxy.call(env_for(path))
      expect { body.each { |chunk| seen << chunk } }.to raise_error(library::BodyError)
    end
    expect(seen).to eq(%w[a a])
  end

  it "is the engine's own where its clocks run out" do
    given_up = -> { Deadline.new(10).poll { library.stats[:exchanges].zero? } }
    stub(/./) { [200, {}, given_up.call ? ["late"] : []] }
    expect(failure_of(proxy(timeout: 0.05)).message).to include("(timeout)")
    stub(/./) { [200, {}, Enumerator.new { given_up.call }] }
    expect(failure_of(proxy(idle_timeout: 0.05)).message).to include("(idle_timeout)")
  end
end
