# frozen_string_literal: true

RSpec.describe Rack::StreamingProxy::Proxy, "and upstreams that fail before the head" do
  # An upstream that reads the request, writes these bytes and closes.
  def upstream_writing(bytes)
    start_upstream do |connection|
      connection.read_head
      connection.write(bytes)
    end
  end

  def silent_upstream
    start_upstream do |connection|
      connection.read_head
      connection.wait_for_end(within: 20)
    end
  end

  # A name that no resolver is asked for: one of its labels is too long.
  let(:unknown_host) { "#{"a" * 64}.test" }

  def answer_of(url, **settings)
    fetch(linted(**settings) { url })
  end

  shared_examples "an answer in plain text" do |status|
    it "is #{status}, in plain text, and names no upstream" do
      response = answer_of(url, **settings)
      expect(response.status).to eq(status)
      expect(response["Content-Type"]).to match(%r{\Atext/plain})
      expect(response["Content-Length"]).to eq(response.body.bytesize.to_s)
      expect(response.body).to include(status.to_s)
      expect(response.body).not_to include("127.0.0.1")
    end

    it "has the body [] for HEAD" do
      code, _, body = bare(**settings) { url }.call(env_for("/", method: "HEAD"))
      expect([code, read(body)]).to eq([status, ""])
    end
  end

  let(:settings) { {} }

  context "when the connection is refused" do
    let(:url) { "http://127.0.0.1:#{closed_port}/" }

    it_behaves_like "an answer in plain text", 502
  end

  context "when the name is unknown" do
    let(:url) { "http://#{unknown_host}/" }

    it_behaves_like "an answer in plain text", 502
  end

  context "when the other side speaks no TLS" do
    let(:url) do
      start_upstream do |connection|
        connection.write("HTTP/1.1 400 Bad Request\r\n\r\n")
        connection.wait_for_end
      end.url.sub("http:", "https:")
    end

    it_behaves_like "an answer in plain text", 502
  end

  context "when the upstream closes at once" do
    let(:url) { start_upstream { nil }.url }

    it_behaves_like "an answer in plain text", 502
  end

  context "when the upstream closes instead of an answer" do
    let(:url) { upstream_writing("").url }

    it_behaves_like "an answer in plain text", 502
  end

  context "when the upstream resets instead of an answer" do
    let(:url) do
      start_upstream do |connection|
        connection.read_head
        connection.reset
      end.url
    end

    it_behaves_like "an answer in plain text", 502
  end

  context "when no head comes" do
    let(:settings) { { timeout: 0.2 } }
    let(:url) { silent_upstream.url }

    it_behaves_like "an answer in plain text", 504
  end

  context "when the connection is never accepted" do
    let(:settings) { { connect_timeout: 0.2 } }
    let(:url) { keep(DeafListener.new).url }

    it_behaves_like "an answer in plain text", 504
  end

  context "when the TLS handshake does not end" do
    let(:settings) { { connect_timeout: 0.2 } }
    let(:url) do
      start_upstream do |connection|
        connection.wait_for_end(within: 20)
      end.url.sub("http:", "https:")
    end

    it_behaves_like "an answer in plain text", 504
  end

  context "when all of it takes too long" do
    let(:settings) { { total_timeout: 0.2 } }
    let(:url) { silent_upstream.url }

    it_behaves_like "an answer in plain text", 504
  end

  {
    "no HTTP" => "SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "half a head" => "HTTP/1.1 200 OK\r\nContent-Le",
    "a length that is none" => "HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nabcde",
    "a negative length" => "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "a length with a sign" => "HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc",
    "two lengths" => "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "an unknown transfer coding" =>
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked that is not last" => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\nx",
    "chunked twice" => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" \
                       "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks in HTTP/1.0" => "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "NUL in a value" => "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
    "a status below 100" => "HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n",
    "101 that nobody asked for" =>
      "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
  }.each do |what, bytes|
    it "answers 502 to #{what}" do
      expect(answer_of(upstream_writing(bytes).url).status).to eq(502)
    end
  end

  it "sends an equal length given twice down once" do
    bytes = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc"
    response = answer_of(upstream_writing(bytes).url)
    expect([response.body, response["Content-Length"]]).to eq(%w[abc 3])
  end

  # A library before libc's, in which the lookup of "silent.test" never ends.
  def silent_resolver(directory)
    source = File.join(directory, "silent.c")
    File.write(source, <<~C)
      #define _GNU_SOURCE
      #include <dlfcn.h>
      #include <netdb.h>
      #include <string.h>
      #include <unistd.h>
      typedef int lookup(const char *, const char *, const struct addrinfo *, struct addrinfo **);
      int getaddrinfo(const char *name, const char *port, const struct addrinfo *hints,
                      struct addrinfo **found) {
        while (name && !strcmp(name, "silent.test")) pause();
        return ((lookup *)dlsym(RTLD_NEXT, "getaddrinfo"))(name, port, hints, found);
      }
    C
    library = File.join(directory, "silent.so")
    system("gcc", "-shared", "-fPIC", "-o", library, source, exception: true)
    library
  end

  it "resolves other names while the lookups of one do not end" do
    upstream = serving { [200, {}, "fine"] }
    Dir.mktmpdir do |directory|
      env = { "PORT" => upstream.port.to_s, "LD_PRELOAD" => silent_resolver(directory) }
      result = RubyScript.run(<<~RUBY, env:)
        require "rack/mock"
        status_of = lambda do |host|
          url = "http://\#{host}:\#{ENV.fetch("PORT")}/"
          proxy = Rack::StreamingProxy::Proxy
          app = proxy.new(proc {}, logger: Logger.new(nil), connect_timeout: 1) { url }
          app.call(Rack::MockRequest.env_for("/")).first
        end
        silent = Array.new(20) { Thread.new { status_of.call("silent.test") } }
        Thread.pass until silent.all? { |thread| thread.status == "sleep" }
        p status_of.call("localhost"), silent.map(&:value).uniq
      RUBY
      expect(result.output).to eq("200\n[504]\n")
      expect(result.status).to be_success
    end
  end

  it "ends at the timeout, and not before", id: "TO2" do
    url = silent_upstream.url # for 20 s
    expect(elapsed { answer_of(url, timeout: 0.3) }).to be_between(0.3, 5)
  end

  it "does not count a slow upload into timeout, which runs from its last byte" do
    upstream = serving { |request| [200, {}, request.body] }
    input = Class.new do
      def initialize
        @pieces = %w[a b c d]
      end

      def read(*)
        sleep 0.5
        @pieces.shift
      end
    end
    env = env_for("/", method: "POST").except("CONTENT_LENGTH")
    env.merge!("rack.input" => input.new, "HTTP_TRANSFER_ENCODING" => "chunked")
    status, _, body = bare(timeout: 1.5) { upstream.url }.call(env)
    expect([status, read(body)]).to eq([200, "abcd"])
  end

  # The client's body goes on for ever, and the upstream takes none of it.
  def stalled_upload(**settings)
    upstream = start_upstream do |connection|
      connection.read_head
      sleep # until the upstream is stopped
    end
    endless = Class.new { def read(length = 65_536, *) = "u" * length }.new
    env = env_for("/", :method => "POST", "CONTENT_LENGTH" => (1 << 40).to_s)
    bare(**settings) { upstream.url }.call(env.merge("rack.input" => endless)).first
  end

  it "answers 504 when the upload stalls for idle_timeout" do
    status = nil
    expect(elapsed { status = stalled_upload(idle_timeout: 0.3) }).to be_between(0.3, 5)
    expect(status).to eq(504)
  end

  it "answers 504 when the upload stalls for total_timeout" do
    status = nil
    expect(elapsed { status = stalled_upload(total_timeout: 0.3) }).to be_between(0.3, 5)
    expect(status).to eq(504)
  end

  it "does not call link-local, multicast and unspecified addresses", id: "SS3" do
    ["http://169.254.169.254/", "http://[fe80::1]:1/", "http://224.0.0.1/", "http://0.0.0.0:1/"]
      .each do |url|
      expect { fetch(bare(raise_on_error: true) { url }) }
        .to raise_error(Rack::StreamingProxy::DestinationRefused) { |error|
          expect(error.status).to eq(502)
        }
    end
  end

  it "works again right after a failure" do
    upstream = serving { [200, {}, "fine"] }
    refused = "http://127.0.0.1:#{closed_port}/"
    app = linted { |request| request.path == "/bad" ? refused : upstream.url }
    expect(fetch(app, "/bad").status).to eq(502)
    expect(fetch(app, "/good").body).to eq("fine")
  end
end
