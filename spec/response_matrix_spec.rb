# frozen_string_literal: true

# Each row of ResponseMatrix over real servers: the upstream's bytes in, the client's bytes out, and
# whether the connection serves the next request. One server of each kind for all rows.
RSpec.describe Rack::StreamingProxy::Proxy, "and the matrix of responses" do
  # The port of the upstream comes with the request.
  rackup = RackupText.proxy("log_verbosity: :high")
                     .sub('ENV.fetch("UPSTREAM") + request.fullpath',
                          '"http://127.0.0.1:" + request.path[/\d+/]')

  # Headers that no row sends: whatever else a client sees must be accounted for.
  servers_own = %w[date connection content-type]

  # Answers the row's request with its bytes, and those that follow with others.
  def upstream_of(row)
    start_upstream do |connection|
      connection.read_head
      connection.write(row.sent)
      connection.serve { [200, {}, "next"] } unless row.closes
    end
  end

  # @return [Array] head, bytes after it, and how the connection ended
  def exchange(verb, upstream)
    client = connect(@server)
    client.request(verb, "/#{upstream.port}", { "Connection" => "close" })
    [client.read_head, *client.read_to_end]
  end

  def expect_framing(row, head)
    expect(head.all("content-length")).to eq(row.announced ? [row.announced.to_s] : [])
    framed = row.announced.nil? && !row.body.empty?
    expect(head.all("transfer-encoding")).to eq(framed ? ["chunked"] : [])
  end

  def expect_body(row, head, bytes)
    chunks = ChunkedBody.new(bytes) if head.chunked?
    expect(chunks ? chunks.data : bytes).to start_with(row.body)
    return expect_cut(row, chunks, bytes) if row.cut

    expect(bytes).to eq(chunks ? ChunkedBody.encode(*chunks.chunks) : row.body)
    expect(chunks.data).to eq(row.body) if chunks
  end

  def expect_cut(row, chunks, bytes)
    return expect(chunks).not_to be_complete if chunks

    expect(bytes.bytesize).to be < row.announced
  end

  def expect_refusal(row, head, bytes)
    body = row.verb == "HEAD" ? "" : "502 Bad Gateway"
    expect([head.content_length, bytes]).to eq([15, body])
  end

  def expect_reuse(row, upstream)
    expect(exchange("GET", upstream).first.status).to be_positive
    first = upstream.connections.first
    expect([upstream.connections.size, first.heads.size]).to eq(row.reused ? [1, 2] : [2, 1])
  end

  %i[puma unicorn].each do |kind|
    describe "on #{kind}" do
      once { @server = start_server(kind, rackup) }

      ResponseMatrix.rows.each do |row|
        outcome = row.cut ? "is cut short for the client too" : "is answered with #{row.status}"
        it "#{row.what} #{outcome}", **(row.id ? { id: row.id } : {}) do
          upstream = upstream_of(row)
          head, bytes, = exchange(row.verb, upstream)
          expect(head.status).to eq(row.status)
          if row.body
            expect_framing(row, head)
            expect_body(row, head, bytes)
          else
            expect_refusal(row, head, bytes)
          end
          expect(head.names - servers_own - %w[content-length transfer-encoding]).to be_empty
          expect_reuse(row, upstream)
        end
      end
    end
  end
end
