# frozen_string_literal: true

RSpec.describe "Memory while a body passes" do
  # Sends as many megabytes as the path says.
  def generous_upstream
    block = "m" * (1 << 20)
    start_upstream do |connection|
      loop do
        megabytes = connection.read_head(within: 30).target[/\d+/].to_i
        connection.write("HTTP/1.1 200 OK\r\nContent-Length: #{megabytes << 20}\r\n\r\n")
        megabytes.times { connection.write(block) }
      end
    end
  end

  # How far the memory of a new server rises above idle while so many megabytes pass, in KiB. New,
  # because each thread of a server that has served one keeps an arena of malloc for the next.
  def growth(kind, upstream, megabytes)
    server = start_server(kind, RackupText.proxy, env: { "UPSTREAM" => upstream.url("") })
    yield(server, 1)
    idle = server.rss
    ProcessFacts.reset_peak_rss(server.serving_pid)
    yield(server, megabytes)
    ProcessFacts.peak_rss(server.serving_pid) - idle
  end

  def download(server, megabytes)
    client = connect(server)
    client.get("/#{megabytes}", { "Connection" => "close" })
    client.read_head
    expect(client.drain(within: 50)).to eq(megabytes << 20)
  end

  def upload(server, megabytes)
    client = connect(server)
    client.request("POST", "/", { "Content-Length" => (megabytes << 20).to_s,
                                  "Connection" => "close" })
    block = "m" * (1 << 20)
    megabytes.times { client.write(block) }
    expect(client.read_response(within: 50).body).to eq((megabytes << 20).to_s)
  end

  # Ruby's own garbage of two runs differs by as much.
  same = 32 * 1024
  limit = 96 * 1024

  %i[puma unicorn].each do |kind|
    it "is the same for 256 MiB and 1 GiB down through #{kind}" do
      upstream = generous_upstream
      small, large = [256, 1024].map do |megabytes|
        growth(kind, upstream, megabytes) { |server, size| download(server, size) }
      end
      expect([small, large]).to all(be <= limit)
      expect(large).to be <= small + same
    end
  end

  it "is the same for 64 and 256 MiB up through Unicorn" do
    upstream = start_upstream do |connection|
      loop do
        length = left = connection.read_head(within: 30).content_length
        left -= connection.read_some.bytesize while left.positive?
        connection.respond(200, {}, length.to_s)
      end
    end
    small, large = [64, 256].map do |megabytes|
      growth(:unicorn, upstream, megabytes) { |server, size| upload(server, size) }
    end
    expect([small, large]).to all(be <= limit)
    expect(large).to be <= small + same
  end
end
