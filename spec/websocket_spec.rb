# frozen_string_literal: true

require "digest/sha2"

# A conformance suite of WebSocket servers, run against one of them directly and through the proxy:
# each case is to be the same, byte for byte.
RSpec.describe "A WebSocket server" do
  include TlsPeers

  # What came of a case.
  conversation = Struct.new(:head, :frames, :bytes, :ending)

  settings = 'ca_file: ENV["CA_FILE"]'
  to = 'ENV.fetch("UPSTREAM") + request.fullpath'
  launcher = File.join(RubyProcess::ROOT, "spec/support/launchers/websocket.rb")
  handshake = { "Host" => "client.test", "Origin" => "http://client.test",
                "Connection" => "Upgrade", "Upgrade" => "websocket",
                "Sec-WebSocket-Key" => "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version" => "13" }

  # @return [Integer] the port of one more server, which speaks TLS with these files
  define_method(:start_websocket) do |*files|
    process = keep(RubyProcess.new(launcher, *files))
    process.output.wait_for(ServerProcess::LISTENING, within: 40)[1].to_i
  end

  define_method(:start_proxy) do |url|
    start_puma(RackupText.proxy(settings, to:),
               env: { "UPSTREAM" => url, "CA_FILE" => authority.file })
  end

  # Writes as the case says, whatever comes meanwhile.
  def say(client, sends)
    sends.each do |bytes, size|
      next client.io.close_write if bytes == :fin

      size ||= bytes.bytesize
      0.step(bytes.bytesize - 1, size) { |from| client.write(bytes.byteslice(from, size)) }
    end
  rescue SystemCallError
    nil # the server has reset the connection
  end

  # @param client [RawClient] which is closed
  define_method(:converse) do |client, one|
    lines = handshake.merge(one.headers).map { |name, value| "#{name}: #{value}\r\n" }.join
    request = "GET #{one.path} HTTP/1.1\r\n#{lines}\r\n".b
    request << one.sends.join if one.glued
    head = client.write(request).read_head(within: 20)
    writing = in_thread { say(client, one.glued ? [] : one.sends) }
    bytes, ending = client.read_to_end(within: 20)
    writing.join
    conversation.new(fields(head), shown(WebSocketFrames.parse(bytes)),
                     Digest::SHA256.hexdigest(bytes), ending)
  ensure
    client.close
  end

  # The order of a head's lines and the case of their names say nothing (RFC 9110 section 5.3).
  def fields(head)
    first, *lines = head.raw.split("\r\n")
    [first, *lines.map { |line| line.sub(/\A[^:]+/, &:downcase) }.sort]
  end

  # Of long payloads what can be told in a message, of a close frame its code.
  def shown(frames)
    frames.map do |opcode, payload|
      payload = payload.unpack1("n") if opcode == :close && payload.is_a?(String)
      [opcode, payload.is_a?(Integer) ? payload : short(payload.b)]
    end
  end

  def short(payload)
    payload.bytesize > 200 ? Digest::SHA256.hexdigest(payload) : payload
  end

  def expect_same(one, direct, through)
    expect(direct.frames).to eq(shown(one.answers))
    expect(direct.ending).to eq(one.ending)
    expect(through).to eq(direct)
  end

  context "without TLS" do
    once do
      @direct = start_websocket
      @proxy = start_proxy("http://127.0.0.1:#{@direct}")
    end

    WebSocketCases.all.each do |category, cases|
      describe category do
        cases.each do |name, one|
          it name do
            one = one.call
            expect_same(one, converse(connect(@direct), one), converse(connect(@proxy), one))
          end
        end
      end
    end
  end

  context "with TLS" do
    once do
      names = { "subjectAltName" => TestAuthority::NAMES }
      certificate = authority.issue("upstream", extensions: names)
      @direct = start_websocket(certificate.file, certificate.key_file)
      @proxy = start_proxy("https://127.0.0.1:#{@direct}")
    end

    def secure_client(port)
      secure = OpenSSL::SSL::SSLSocket.new(TCPSocket.new("127.0.0.1", port))
      secure.sync_close = true
      connect(secure.connect)
    end

    WebSocketCases.few.each do |name, one|
      it name do
        one = one.call
        expect_same(one, converse(secure_client(@direct), one), converse(connect(@proxy), one))
      end
    end
  end
end
