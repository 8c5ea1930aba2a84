# frozen_string_literal: true

require "digest/sha2"

RSpec.shared_examples "bodies" do |_profile|
  megabytes = 24

  def digest_of(client)
    digest = Digest::SHA256.new
    while (chunk = client.read_chunk(within: 20))
      digest << chunk
    end
    digest.hexdigest
  rescue RawSocket::Ended
    digest.hexdigest
  end

  { "with a length" => { "Content-Length" => (megabytes << 20).to_s },
    "in chunks" => { "Transfer-Encoding" => "chunked" } }.each do |framing, headers|
    it "of #{megabytes} MiB #{framing} come through whole" do
      block = Random.bytes(1 << 20)
      sent = Digest::SHA256.new
      upstream = start_upstream do |connection|
        connection.read_head
        lines = headers.map { |name, value| "#{name}: #{value}\r\n" }.join
        connection.write("HTTP/1.1 200 OK\r\n#{lines}\r\n")
        megabytes.times do
          sent << block
          framing == "in chunks" ? connection.chunk(block) : connection.write(block)
        end
        connection.end_chunked if framing == "in chunks"
        connection.wait_for_end(within: 20)
      end
      client = ask(upstream, "GET", { "Connection" => "close" })
      expect(client.read_head(within: 20).status).to eq(200)
      came = digest_of(client)
      expect(came).to eq(sent.hexdigest)
    end
  end

  bodyless = {
    "to HEAD" => ["HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"],
    "to HEAD, of unknown length" => ["HEAD",
                                     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"],
    "with 204" => ["GET", "HTTP/1.1 204 No Content\r\n\r\n"],
    "with 304" => ["GET", "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 5\r\n\r\n"],
    "with 205" => ["GET", "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n"]
  }
  bodyless.each do |what, (verb, answer)|
    it "are not sent #{what}, and nothing stands before the next response", id: "RS1" do
      upstream = start_upstream do |connection|
        connection.read_head
        connection.write(answer)
        connection.serve { [200, {}, "next"] }
      end
      client = ask(upstream, verb)
      expect(client.read_head.status).to eq(answer[/ (\d{3})/, 1].to_i)
      begin
        client.get("/#{upstream.port}/next", { "Connection" => "close" })
      rescue SystemCallError
        nil # The server has closed the connection: that is a way, too.
      end
      rest, = client.read_to_end
      expect(rest).to eq("").or match(%r{\AHTTP/1\.1 200.*\r\n\r\n(4\r\nnext\r\n0\r\n\r\n|next)\z}m)
    end
  end
end
