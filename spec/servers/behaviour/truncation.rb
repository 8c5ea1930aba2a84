# frozen_string_literal: true

# Law 5: a response that was cut short never looks whole.
RSpec.shared_examples "truncation" do |profile|
  shapes = {
    "with Content-Length" => lambda { |connection|
      connection.write("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n#{"p" * 1000}")
    },
    "in chunks" => lambda { |connection|
      connection.begin_chunked
      connection.chunk("p" * 1000)
    },
    "in the middle of a chunk" => lambda { |connection|
      connection.begin_chunked
      connection.write("#{1000.to_s(16)}\r\n#{"p" * 1000}\r\nfff\r\nppp")
    },
    "without length, ended by a reset" => lambda { |connection|
      connection.write("HTTP/1.1 200 OK\r\n\r\n#{"p" * 1000}")
    }
  }
  endings = { "ended by FIN" => :close, "reset" => :reset }
  cases = shapes.to_a.product(endings.to_a).reject do |(shape, _), (_, ending)|
    shape.include?("reset") && ending == :close
  end
  clients = { "a client of HTTP/1.1" => ["1.1", {}], "one of HTTP/1.0" => ["1.0", {}],
              "one of HTTP/1.0 that keeps alive" => ["1.0", { "Connection" => "keep-alive" }] }

  # The upstream cuts when its first thousand bytes have come through.
  # @return [ServerCalls::Outcome]
  define_method(:cut) do |shape, ending, headers = {}, version: "1.1"|
    through = EventQueue.new("sign to cut")
    upstream = start_upstream do |connection|
      connection.read_head
      shape.call(connection)
      through.pop
      connection.public_send(ending)
    end
    client = ask(upstream, "GET", headers, version:)
    begun = read_begin(client)
    through << true
    outcome(client, begun:)
  end

  def read_begin(client)
    client.read_head
    body = +""
    body << client.read_chunk until body.bytesize >= 1000
    body
  end

  def expect_visible(seen)
    expect(seen.whole && seen.status < 500).to be_falsey
  end

  def expect_nothing_added(seen)
    expect(seen.status).to eq(200)
    expect(seen.body).to match(/\Ap{1000,1010}\z/)
  end

  clients.each do |client, (version, headers)|
    cases.each do |(shape, script), (ended, ending)|
      it "is visible to #{client}: #{shape}, #{ended}", id: "ST2", feature: :truncation do
        seen = cut(script, ending, headers, version:)
        expect_visible(seen)
        expect_nothing_added(seen)
      end
    end
  end

  it "leaves the server serving" do
    cut(shapes.fetch("in chunks"), :close)
    client = connect(@server)
    client.get("/__pid")
    expect(client.read_response.status).to eq(200)
  end

  it "makes curl fail" do
    upstream = start_upstream do |connection|
      connection.read_head
      shapes.fetch("with Content-Length").call(connection)
    end
    url = @server.url("/#{upstream.port}/curl")
    expect(system("curl", "-sf", "-o", File::NULL, url)).to be(false)
  end

  context "when rack.input breaks after the head" do
    once do
      @server = start_server(profile.kind, profile.rackup(above: <<~RUBY))
        class BreaksLate
          def initialize(app)
            @app = app
          end

          def call(env)
            pieces = 0
            input = Object.new
            input.define_singleton_method(:read) do |*|
              (pieces += 1) > 600 ? raise(ArgumentError, "it broke") : "x" * 16_384
            end
            @app.call(env.merge("rack.input" => input, "CONTENT_LENGTH" => "20000000"))
          end
        end
        use BreaksLate
      RUBY
    end

    it "has no error page of the server's in the body", id: %w[ST2 TO4] do
      upstream = start_upstream do |connection|
        connection.read_head
        connection.write("HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\nhello")
        loop { connection.read_exactly(16_384) }
      end
      seen = outcome(ask(upstream))
      expect_visible(seen)
      expect(seen.body).to eq("hello")
    end
  end

  it "differs from a whole response, which ends well" do
    clients.each_value do |version, headers|
      whole = start_upstream { |upstream| upstream.serve { [200, {}, "p" * 1000] } }
      seen = outcome(ask(whole, "GET", headers, version:))
      expect(seen).to have_attributes(status: 200, body: "p" * 1000, whole: true)
    end
  end
end
