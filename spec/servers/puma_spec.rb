# frozen_string_literal: true

require_relative "behaviour"

RSpec.describe "Puma" do
  cluster = { workers: 2, more: "preload_app! false" }
  profile = ServerProfile.declare(
    :puma, "Puma",
    signals: {
      "USR2 (hot restart)" => ServerSignal.new("USR2", :restart, loses: :engine),
      "USR2 of a cluster" => ServerSignal.new("USR2", :restart, **cluster),
      "USR1 (phased restart)" =>
        ServerSignal.new("USR1", :restart, seen: /phased worker restart/, **cluster),
      "URG (refork)" =>
        ServerSignal.new("URG", :continue, seen: /Worker 1 .*phase: 1/, workers: 2,
                                           more: "fork_worker"),
      "TTIN and TTOU" => ServerSignal.new(lambda { |server|
        server.signal("TTIN")
        server.output.wait_for(/Worker 2 .*booted/, within: 30)
        server.signal("TTOU")
      }, :continue, seen: /Worker 2 .*terminating/, **cluster),
      "TERM" => ServerSignal.new("TERM", :stop),
      "TERM of a cluster" => ServerSignal.new("TERM", :stop, **cluster)
    },
    live: true,
    head: true,
    truncation: true,
    http10: true,
    chunks: true,
    live_uploads: "Puma reads the whole body before it calls the application.",
    chunked_uploads: true,
    several_values: true,
    client_gone: true,
    hijack: true,
    tunnel: true,
    shutdown: true,
    restart: true,
    deflater: true,
    rack_timeout: true
  )

  include_examples "a Rack server", profile

  next unless profile.installed?

  context "on a Unix socket" do
    once { @server = start_server(:puma, RackupText.proxy_to_ports, unix: true) }

    describe("streaming") { include_examples "streaming", profile }
    describe("leaving clients") { include_examples "leaving clients", profile }
  end

  if ServerProcess.of(:puma).at_least?("8")
    it "runs more streams than it has threads, with max_io_threads" do
      @server = start_puma(RackupText.proxy_to_ports, threads: 1, more: "max_io_threads 2")
      upstream = start_upstream do |connection|
        connection.read_head
        connection.begin_chunked
        connection.chunk("first")
        connection.wait_for_end(within: 20)
      end
      streams = Array.new(3) { ask(upstream).tap(&:read_head) }
      expect(streams.map(&:read_chunk)).to eq(%w[first] * 3)
    end
  end

  context "with TLS of its own" do
    # @return [String] a response as it came, to the end of the connection
    def ask_over_tls(port, upstream)
      tcp = TCPSocket.new("127.0.0.1", port)
      tls = closing(OpenSSL::SSL::SSLSocket.new(tcp).tap { |socket| socket.sync_close = true })
      client = RawSocket.new(tls.connect)
      client.write("GET /#{upstream.port}/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
      client.read_to_end.first
    end

    it "writes responses itself under delivery: :hijack, as the log says once" do
      certificate = TestAuthority.new.issue("127.0.0.1")
      reserved = closing(ReservedPort.new)
      files = "cert=#{certificate.file}&key=#{certificate.key_file}&verify_mode=none"
      server = start_puma(profile.delivering(:hijack).rackup,
                          tls: "127.0.0.1:#{reserved.number}?#{files}")
      head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
      upstream = serving { "#{head}4\r\ntext\r\n0\r\n\r\n" }
      2.times do
        expect(ask_over_tls(reserved.number, upstream))
          .to match(%r{\AHTTP/1\.1 200.*\r\n\r\n4\r\ntext\r\n0\r\n\r\n\z}m)
      end
      expect(server.output.to_s.scan(/WARN.*delivery: Puma encrypts what the client gets/).size)
        .to eq(1)
    end
  end

  it "is left to write what of a head the client does not take yet" do
    buffer = Class.new(StringIO) { def read_and_reset = string.dup.tap { truncate(0) && rewind } }
    held = buffer.new(+"").tap { |one| one << "the head" }
    ours, theirs = UNIXSocket.pair.each { |socket| closing(socket) }
    filled = ours.write_nonblock("x" * 4096, exception: false) until filled == :wait_writable
    env = { "puma.socket" => ours, "rack.hijack" => Struct.new(:io_buffer).new(held) }
    2.times { Rack::StreamingProxy::Server::Puma.new(env).flush }
    expect(held.string).to eq("the head")
    theirs.readpartial(65_536) until theirs.wait_readable(0).nil?
    Rack::StreamingProxy::Server::Puma.new(env).flush
    expect([held.string, theirs.readpartial(100)]).to eq(["", "the head"])
  end

  # Puma joins such a header to the version of HTTP, and answers as to HTTP/1.0.
  ["abc", "\xFF".b].each do |version|
    it "shows a truncation whatever a client's header Version says: #{version.inspect}" do
      upstream = start_upstream do |connection|
        connection.read_head
        connection.begin_chunked
        connection.chunk("p" * 1000)
      end
      expect(outcome(ask(upstream, "GET", { "Version" => version })).whole).to be(false)
    end
  end
end
