# frozen_string_literal: true

require "English"

# Law 5: a response that was cut short never looks whole.
RSpec.describe "A response that was cut short" do
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

  # What the client made of a response: whether it may think that it has all.
  def seems_complete?(response)
    head = response.head
    return response.body.bytesize == head.content_length if head.content_length

    response.complete?
  end

  # Requests after the upstream's first thousand bytes have come through; only then it cuts.
  def cut_response(server, version, headers = {})
    client = connect(server)
    client.get("/cut", headers, version:)
    head = client.read_head
    body = +""
    body << client.read_chunk until body.bytesize >= 1000
    @cut << true
    finish(client, head, body)
  end

  def finish(client, head, body)
    rest, ending = client.read_to_end
    if head.chunked?
      framed = ChunkedBody.new(rest)
      body += framed.data
      body += framed.rest if framed.malformed?
      RawClient::Response.new(head, body, ending, framed.complete?)
    else
      RawClient::Response.new(head, body + rest, ending, ending == :fin)
    end
  end

  { "Puma" => :puma, "Unicorn" => :unicorn }.each do |name, kind|
    context "on #{name}" do
      once do
        @cut = EventQueue.new("sign to cut")
        @script = EventQueue.new("script")
        @upstream = start_upstream do |connection|
          connection.read_head
          shape, ending = @script.pop
          shape.call(connection)
          @cut.pop
          connection.public_send(ending)
        end
        @server = start_server(kind, RackupText.proxy, env: { "UPSTREAM" => @upstream.url("") })
      end

      shapes.each do |shape, script|
        endings.each do |ended, ending|
          next if shape.include?("reset") && ending == :close

          %w[1.1 1.0].each do |version|
            it "is visible to a client of HTTP/#{version}: #{shape}, #{ended}", id: "ST2" do
              @script << [script, ending]
              response = cut_response(@server, version)
              expect(response.status).to eq(200)
              expect(seems_complete?(response)).to be(false)
              expect(response.body).to match(/\Ap+\z/)
              expect(response.body.bytesize).to be_between(1000, 1010)
            end
          end

          it "is visible to a client of HTTP/1.0 with keep-alive: #{shape}, #{ended}" do
            @script << [script, ending]
            response = cut_response(@server, "1.0", { "Connection" => "keep-alive" })
            expect(seems_complete?(response)).to be(false)
          end
        end
      end

      it "is a reset where no framing can show it" do
        @script << [shapes.fetch("in chunks"), :close]
        expect(cut_response(@server, "1.0").ending).to eq(:reset)
      end

      # Puma joins such a header to the version of HTTP, and answers as to HTTP/1.0.
      ["abc", "\xFF".b].each do |version|
        it "is visible whatever a client's header Version says: #{version.inspect}" do
          @script << [shapes.fetch("in chunks"), :close]
          response = cut_response(@server, "1.1", { "Version" => version })
          expect(seems_complete?(response)).to be(false)
        end
      end

      it "leaves the server serving" do
        @script << [shapes.fetch("in chunks"), :close]
        cut_response(@server, "1.1")
        client = connect(@server)
        client.get("/__pid")
        expect(client.read_response.status).to eq(200)
      end

      it "makes curl fail" do
        @script << [shapes.fetch("with Content-Length"), :close]
        @cut << true
        system("curl", "-s", "-o", File::NULL, @server.url("/curl"))
        expect($CHILD_STATUS.exitstatus).to eq(18)
      end

      it "differs from a whole one, which ends well" do
        %w[1.1 1.0].each do |version|
          @script << [->(connection) { connection.respond(200, {}, "p" * 1000) }, :close]
          response = cut_response(@server, version, { "Connection" => "close" })
          expect(seems_complete?(response)).to be(true)
        end
      end
    end
  end

  context "when a whole response has no length" do
    %i[puma unicorn].each do |kind|
      it "ends cleanly for HTTP/1.0 and 1.1, in chunks for 1.1 alone, on #{kind}", id: "FW8" do
        upstream = serving do
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n0\r\n\r\n"
        end
        server = start_server(kind, RackupText.proxy, env: { "UPSTREAM" => upstream.url("") })
        %w[1.1 1.0].each do |version|
          %w[close keep-alive].each do |connection|
            client = connect(server)
            client.get("/", { "Connection" => connection }, version:)
            response = client.read_response
            expect([response.body, response.complete?]).to eq(["whole", true])
            expect(response.head.chunked?).to be(version == "1.1")
          end
        end
      end
    end
  end

  context "when rack.input breaks after the head" do
    outer = <<~RUBY
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

    %i[puma unicorn].each do |kind|
      it "has no error page of #{kind}'s in the body", id: %w[ST2 TO4] do
        upstream = start_upstream do |connection|
          connection.read_head
          connection.write("HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\nhello")
          loop { connection.read_exactly(16_384) }
        end
        server = start_server(kind, outer + RackupText.proxy,
                              env: { "UPSTREAM" => upstream.url("") })
        client = connect(server)
        client.get("/", {})
        client.read_head
        expect(client.read_to_end.first).to eq("hello")
      end
    end
  end
end
