# frozen_string_literal: true

require_relative "behaviour"

RSpec.describe "Passenger" do
  profile = ServerProfile.declare(
    :passenger, "Passenger",
    signals: {
      "tmp/restart.txt" =>
        ServerSignal.new(lambda { |server|
          FileUtils.mkdir(File.join(server.directory, "tmp"))
          FileUtils.touch(File.join(server.directory, "tmp/restart.txt"))
        }, :restart, workers: 3, more: ["--ctl", "stat_throttle_rate=0"]),
      "TERM (its own engine)" => ServerSignal.new("TERM", :stop, loses: :responses, workers: 3)
    },
    live: true,
    head: true,
    truncation: true,
    http10: "Passenger calls every client one of HTTP/1.1: one of HTTP/1.0 gets chunks.",
    chunks: true,
    live_uploads: ServerProfile.limit(
      "An upload with a length goes up in pieces of 16 KiB; one in chunks as it comes.",
      except: "in chunks"
    ),
    chunked_uploads: true,
    several_values: "Passenger joins them with commas; Set-Cookie it does not.",
    client_gone:
      ServerProfile.exception("Not behind a request that had a body: the next write tells."),
    hijack:
      ServerProfile.exception("With `--force-max-concurrent-requests-per-process 0`; not " \
                              "behind a request that had a body."),
    tunnel:
      ServerProfile.exception("Passenger takes a tunnel for a request that holds its process, " \
                              "unless `force_max_concurrent_requests_per_process` is 0."),
    shutdown: "Passenger Standalone with its own engine (`builtin`) cuts streams, which is seen.",
    restart: true,
    deflater: true,
    rack_timeout: true
  )

  include_examples "a Rack server", profile

  next unless profile.installed?

  describe "upgrades", feature: :tunnel, server: :passenger do
    include Tunnels

    it "hold a process, of which Passenger knows no better" do
      @server = start_server(:passenger, RackupText.proxy_to_ports)
      first = tunnel(echoing)
      waiting = upgrade(echoing)
      expect(waiting.io.wait_readable(1)).to be_nil
      first.close
      expect(waiting.read_head.status).to eq(101)
    end

    it "hold none where a process may have any number of requests" do
      more = ["--force-max-concurrent-requests-per-process", "0"]
      @server = start_server(:passenger, RackupText.proxy_to_ports, more:)
      expect_tunnels_beside_requests
    end
  end

  describe "adaptation" do
    once { @server = start_server(:passenger, RackupText.proxy_to_ports, workers: 2) }

    # Bytes of a request in chunks, as RFC 9112 section 7.1 does not allow them.
    { "a chunk that is longer than its size" => "3\r\nabcX\r\n0\r\n\r\n",
      "a size that is none" => "zz\r\nabc\r\n0\r\n\r\n",
      "a negative size" => "-3\r\nabc\r\n0\r\n\r\n",
      "a size with a prefix" => "0x3\r\nabc\r\n0\r\n\r\n",
      "bare line feeds" => "3\nabc\n0\n\n" }.each do |what, bytes|
      it "never passes #{what} on as a whole request", id: "RQ7" do
        ended = EventQueue.new("end of the upload")
        upstream = start_upstream do |connection|
          connection.read_head
          ended << connection.read_to_end(within: 10)
        end
        client = ask(upstream, "POST", { "Transfer-Encoding" => "chunked" })
        client.write(bytes)
        seen = outcome(client)
        expect(seen.status.to_i).not_to be_between(200, 399)
        came = upstream.requests.empty? ? "" : ended.pop.first
        expect(ChunkedBody.new(came)).not_to be_complete
      end
    end

    ["gzip, chunked", "chunked, chunked", "identity"].each do |coding|
      it "refuses the transfer coding #{coding.inspect}, and goes on serving", id: "RQ3" do
        upstream = serving { |request| [200, {}, request.body] }
        client = ask(upstream, "POST", { "Transfer-Encoding" => coding, "Connection" => "close" })
        client.write("3\r\nabc\r\n0\r\n\r\n")
        expect(outcome(client).status.to_i).to eq(400).or eq(0)
        expect(outcome(ask(upstream, "POST", {}, "next")).body).to eq("next")
        expect(upstream.requests.size).to eq(1)
      end
    end

    it "leaves an upload of known length alone, whatever it looks like" do
      upstream = serving { |request| [200, {}, request.body] }
      body = "3\r\nabc\r\n0\r\n\r\n"
      expect(outcome(ask(upstream, "POST", {}, body)).body).to eq(body)
    end

    it "notices at the next write that a client has left behind its upload",
       id: "ST4", server: :passenger, feature: :client_gone do
      ended = EventQueue.new("end of the upstream's connection")
      go_on = EventQueue.new("sign to go on")
      upstream = start_upstream do |connection|
        connection.read_request
        connection.begin_chunked
        go_on.pop
        loop { connection.chunk("tick" * 1000) }
      ensure
        ended << true
      end
      client = ask(upstream, "POST", {}, "text")
      upstream.wait_for_request
      client.close
      go_on << true
      expect(ended.pop(within: 10)).to be(true)
    end
  end
end
