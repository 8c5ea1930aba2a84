# frozen_string_literal: true

# How a TLS connection ends: with close_notify, which cannot be forged, or by a bare FIN, which can.
RSpec.describe Rack::StreamingProxy::Proxy, "and the end of TLS connections" do
  include TlsPeers

  # An upstream that writes this for each request and ends the connection.
  def upstream_ending(how, text)
    start_upstream(tls: authority.context) do |connection|
      connection.read_head
      connection.write("HTTP/1.1 200 OK\r\n#{text}")
      next connection.close if how == :close_notify

      connection.io.to_io.shutdown(:WR)
      connection.wait_for_end
    end
  end

  def body_from(upstream)
    fetch(bare(ca_file: authority.file) { upstream.url }).body
  end

  whole = { "with a length" => "Content-Length: 5\r\n\r\nwhole",
            "in chunks" => "Transfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n0\r\n\r\n" }
  cut = { "with a length" => "Content-Length: 6\r\n\r\nwhole",
          "in chunks" => "Transfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n",
          "in a chunk" => "Transfer-Encoding: chunked\r\n\r\n6\r\nwhole" }

  it "takes close_notify for the end of a body without length or chunks", id: "ST3" do
    expect(body_from(upstream_ending(:close_notify, "\r\nwhole"))).to eq("whole")
  end

  it "takes a bare FIN there for a truncation", id: "ST3" do
    expect { body_from(upstream_ending(:fin, "\r\nwhole")) }
      .to raise_error(Rack::StreamingProxy::BodyError, /closed the connection in mid-body/)
  end

  it "takes a bare FIN before any byte of such a body for a truncation", id: "ST3" do
    expect { body_from(upstream_ending(:fin, "\r\n")) }
      .to raise_error(Rack::StreamingProxy::BodyError)
  end

  %i[close_notify fin].each do |how|
    whole.each do |kind, text|
      it "takes a whole body #{kind} for whole before #{how}", id: "ST3" do
        expect(body_from(upstream_ending(how, text))).to eq("whole")
      end
    end

    cut.each do |kind, text|
      it "takes a body #{kind} that is cut by #{how} for a truncation", id: "ST3" do
        expect { body_from(upstream_ending(how, text)) }
          .to raise_error(Rack::StreamingProxy::BodyError)
      end
    end

    it "answers 502 to #{how} within the head" do
      upstream = upstream_ending(how, "Content-Le")
      expect(fetch(linted(ca_file: authority.file) { upstream.url }).status).to eq(502)
    end

    it "takes a fresh connection for GET when a pooled one has ended with #{how}", id: "CN3" do
      first = true
      upstream = start_upstream(tls: authority.context) do |connection|
        next connection.serve { [200, {}, "fresh"] } unless first

        first = false
        connection.read_request
        connection.respond(200, {}, "first")
        connection.read_head # its keep-alive time is over as the next request comes
        connection.io.to_io.shutdown(:WR) if how == :fin
      end
      app = linted(ca_file: authority.file) { upstream.url }
      expect(Array.new(2) { fetch(app).body }).to eq(%w[first fresh])
    end
  end

  # An upstream that sends this in answer to the first request over HTTP/2, and breaks TLS when the
  # queue says so.
  def upstream_breaking_tls_over_http2(frames, queue)
    context = authority.context
    context.alpn_select_cb = ->(_offered) { "h2" }
    start_upstream(tls: context) do |connection|
      connection.write("\0\0\0\4\0\0\0\0\0") # SETTINGS
      received = +""
      received << connection.io.readpartial(4096) until received.b.include?("\1\5\0\0\0\1")
      connection.write(frames)
      queue.pop
      connection.io.to_io.write("\x17\3\3\0\x20".b << ("x" * 32))
      connection.wait_for_end
    end
  end

  it "says over HTTP/2 too that it was TLS that broke, in mid-body", id: "CN7" do
    upstream = upstream_breaking_tls_over_http2("\0\0\1\1\4\0\0\0\1\x88".b, queue = Queue.new)
    answer = bare(ca_file: authority.file) { upstream.url }.call(env_for)
    queue << true
    expect { read(answer.last) }.to raise_error(Rack::StreamingProxy::BodyError, /broke TLS/)
  end

  it "says over HTTP/2 too that it was TLS that broke, before the head", id: "CN7" do
    upstream = upstream_breaking_tls_over_http2("", queue = Queue.new)
    queue << true << true
    expect(refusal(upstream.url)).to match(/broke TLS/)
  end
end
