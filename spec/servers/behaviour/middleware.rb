# frozen_string_literal: true

RSpec.shared_examples "middleware outside" do |profile|
  include Lockstep

  chunked = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
  events = { "of unknown length" => "#{chunked}5\r\nfirst\r\n4\r\nlast\r\n0\r\n\r\n",
             "of known length" =>
               "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\nfirstlast" }

  # A group of examples whose server has these lines above the proxy in its config.ru.
  define_singleton_method(:behind) do |above, &examples|
    context "such as #{above.scan(/^use ([\w:]+)/).join(", ")}" do
      once { @server = start_server(profile.kind, profile.rackup(above:)) }
      class_exec(&examples)
    end
  end

  behind("use Rack::Lint\n") do
    events.each do |length, answer|
      it "finds nothing wrong with a response #{length}" do
        seen = outcome(ask(serving { answer }))
        expect(seen).to have_attributes(status: 200, body: "firstlast", whole: true)
      end
    end

    it "finds nothing wrong with an upload, HEAD, 204 and 304" do
      upstream = serving { |request| [200, {}, request.body] }
      expect(outcome(ask(upstream, "POST", {}, "text"))).to have_attributes(body: "text")
      { "HEAD" => 200, "GET" => 204, "OPTIONS" => 304 }.each do |verb, status|
        answer = "HTTP/1.1 #{status} X\r\n\r\n"
        upstream = start_upstream { |connection| connection.serve { answer } }
        expect(ask(upstream, verb).read_head.status).to eq(status)
      end
      expect(@server.output.to_s).not_to include("LintError")
    end
  end

  behind("use Rack::Deflater\n") do
    ["in chunks", "with a length"].each do |framing|
      it "lets events through in lockstep to a client that takes gzip, #{framing}",
         feature: :deflater do
        client = ask(lockstep_upstream(framing), "GET", { "Accept-Encoding" => "gzip" })
        coding = client.read_head["Content-Encoding"]
        gaps_of_events(client)
        expect(outcome(client, begun: Lockstep::BODY)).to have_attributes(whole: true)
        # Those that are limited differ in what they do where the length is known.
        next if framing == "with a length" && !profile.can?(:deflater)

        expect(coding).to eq(profile.can?(:deflater) ? "gzip" : nil)
      end
    end

    it "does not make a response that was cut short look whole", id: "ST2" do
      upstream = start_upstream do |connection|
        connection.read_head
        connection.write("#{chunked}5\r\nfirst\r\n")
      end
      seen = outcome(ask(upstream, "GET", { "Accept-Encoding" => "gzip" }))
      expect(seen.whole && seen.status < 500).to be_falsey
    end
  end

  # As Rails has it: each puts a Rack::BodyProxy around the body.
  behind("use Rack::CommonLogger\nuse Rack::TempfileReaper\n") do
    it "streams, and goes on serving when clients have left", id: "ST6" do
      on = EventQueue.new("sign to go on")
      upstream = start_upstream do |connection|
        connection.read_head
        connection.write("#{chunked}5\r\nfirst\r\n")
        connection.wait_for_end
        on << true
      end
      2.times do
        client = ask(upstream)
        client.read_head
        expect(client.read_chunk).to eq("first")
        client.close
        on.pop(within: 10)
      end
      seen = outcome(ask(serving { events["of known length"] }))
      expect(seen).to have_attributes(body: "firstlast", whole: true)
    end
  end

  caching = %w[Runtime Head ConditionalGet ETag].map { |name| "use Rack::#{name}\n" }.join
  behind(caching) do
    events.each do |length, answer|
      it "gives a response #{length} whole" do
        seen = outcome(ask(serving { answer }))
        expect(seen).to have_attributes(status: 200, body: "firstlast", whole: true)
      end
    end

    it "answers what has not changed with 304" do
      upstream = serving { [200, { "ETag" => '"v1"' }, "text"] }
      client = ask(upstream, "GET", { "If-None-Match" => '"v1"', "Connection" => "close" })
      expect(client.read_head.status).to eq(304)
      expect(client.read_to_end.first).to eq("")
    end

    it "does not make a response that was cut short look whole", id: "ST2" do
      upstream = start_upstream do |connection|
        connection.read_head
        connection.write("#{chunked}5\r\nfirst\r\n")
      end
      seen = outcome(ask(upstream))
      expect(seen.whole && seen.status < 500).to be_falsey
    end
  end

  timeout = "require \"rack-timeout\"\nuse Rack::Timeout, service_timeout: 2"
  behind(timeout) do
    def silent_upstream
      @ended = EventQueue.new("end of the upstream's connection")
      start_upstream do |connection|
        connection.read_head
        @ended << connection.wait_for_end(within: 20)
      end
    end

    if profile.can?(:rack_timeout)
      it "ends a request whose head is late, and the upstream's connection with it",
         feature: :rack_timeout do
        seen = outcome(ask(silent_upstream))
        expect(seen.status.to_i).to eq(0).or be >= 500
        expect(@ended.pop).not_to be_nil
      end
    elsif profile.delivery != :hijack # What the engine writes is drained, even then.
      it "ends the server when a head is late, and all its requests visibly",
         id: "ST2", feature: :rack_timeout do
        @server = start_server(profile.kind, profile.rackup(above: timeout))
        other = ask(start_upstream do |connection|
          connection.read_head
          connection.write("#{chunked}5\r\nfirst\r\n")
          connection.wait_for_end(within: 20)
        end)
        other.read_head
        expect(other.read_chunk).to eq("first")
        expect(outcome(ask(silent_upstream))).to have_attributes(status: nil)
        expect(@ended.pop).not_to be_nil
        expect(outcome(other, begun: "first")).to have_attributes(whole: false)
        expect(@server.wait).not_to be_nil
      end
    end

    it "leaves a stream that lasts longer alone" do
      upstream = start_upstream do |connection|
        connection.read_head
        connection.begin_chunked
        connection.chunk("first")
        sleep 2.3
        connection.chunk("last")
        connection.end_chunked
        connection.wait_for_end
      end
      expect(outcome(ask(upstream))).to have_attributes(body: "firstlast", whole: true)
    end
  end
end

# What of a server that is limited behind Rack::Deflater the limit does not say.
RSpec.shared_examples "compression of known length" do |kind, coding|
  it "is #{coding || "none"} behind Rack::Deflater" do
    @server = start_server(kind, RackupText.proxy_to_ports(above: "use Rack::Deflater\n"))
    upstream = serving { [200, { "Content-Type" => "text/plain" }, "text" * 100] }
    client = ask(upstream, "GET", { "Accept-Encoding" => "gzip" })
    expect(client.read_head["Content-Encoding"]).to eq(coding)
  end
end
