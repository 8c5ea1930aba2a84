# frozen_string_literal: true

RSpec.describe "Upgrades through a Rails application" do
  include RailsRequests
  include Tunnels

  cable = <<~RUBY
    require "logger"
    require "concurrent" # which Action Cable 7 uses without requiring it
    require "action_cable"
    module ApplicationCable
      class Connection < ActionCable::Connection::Base
        identified_by :name
        def connect = self.name = Rack::Utils.parse_cookies(env)["name"]
      end
    end
    class RoomChannel < ActionCable::Channel::Base
      def subscribed = stream_from("room")
      def speak(data) = ActionCable.server.broadcast("room", [connection.name, data["said"]])
    end
    ActionCable.server.config.tap do |config|
      config.logger = Logger.new($stdout)
      config.cable = { "adapter" => "async" }
      config.connection_class = -> { ApplicationCable::Connection }
      config.allowed_request_origins = ["http://client.test"]
    end
    run ActionCable.server
  RUBY

  def start(upstream, block = nil)
    block ||= "ENV.fetch(\"UPSTREAM\") + request.fullpath if request.path == \"/cable\""
    @server = start_rails(initializer(block:), env: { "UPSTREAM" => upstream })
  end

  # @return [RawClient] which has sent its request
  def ask(headers = {})
    client = connect(@server)
    key = { "Sec-WebSocket-Key" => "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version" => "13" }
    client.get("/cable", { **Tunnels::UPGRADE, **key, **headers })
    client
  end

  # A text frame whose mask changes nothing (RFC 6455 section 5.2).
  def say(client, **message)
    text = JSON.generate(message)
    client.write([0x81, 0xFE, text.bytesize, 0].pack("CCnN") + text)
  end

  # @return [Hash] the next message that is no ping of Action Cable's
  def hear(client)
    loop do
      _, length = client.read_exactly(2).unpack("CC")
      length = client.read_exactly(2).unpack1("n") if length == 126
      message = JSON.parse(client.read_exactly(length))
      return message unless message["type"] == "ping"
    end
  end

  it "are for those whom the session knows", id: "WS1" do
    upstream = echoing
    start(upstream.url(""), <<~RUBY)
      next unless request.path == "/cable"

      user = User.find_by_id(request.session[:user_id])
      "\#{ENV.fetch("UPSTREAM")}/\#{user.name}" if user
    RUBY
    stranger = ask
    expect([stranger.read_response.body, upstream.connections]).to eq(["from Rails", []])
    form = get(@server, "/session/new")
    login = post(@server, "/session",
                 "authenticity_token=#{Rack::Utils.escape(form.body)}&user_id=1", cookies(form))
    known = ask(cookies(login))
    expect(known.read_head.status).to eq(101)
    known.write("x")
    expect(known.read_exactly(1)).to eq("x")
    expect(upstream.requests.map(&:target)).to eq(["/Ann"])
  end

  it "are for the application's hosts" do
    upstream = echoing
    start(upstream.url(""))
    expect(ask("Host" => "other.test").read_response.status).to eq(403)
    expect(upstream.connections).to be_empty
  end

  it "lead to Action Cable, whose clients hear each other" do
    rooms = start_puma(cable)
    start("http://127.0.0.1:#{rooms.address}")
    room = JSON.generate(channel: "RoomChannel")
    origin = { "Origin" => "http://client.test", "Sec-WebSocket-Protocol" => "actioncable-v1-json" }
    clients = %w[Ann Bob].map { |name| ask({ **origin, "Cookie" => "name=#{name}" }) }
    clients.each do |client|
      expect(client.read_head["sec-websocket-protocol"]).to eq("actioncable-v1-json")
      expect(client.head["sec-websocket-accept"]).to eq("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
      expect(hear(client)).to eq("type" => "welcome")
      say(client, command: "subscribe", identifier: room)
      expect(hear(client)).to include("type" => "confirm_subscription")
    end
    say(clients.first, command: "message", identifier: room,
                       data: JSON.generate(action: "speak", said: "x" * 500))
    expect(clients.map { |client| hear(client)["message"] }).to eq([["Ann", "x" * 500]] * 2)
    expect(ask("Origin" => "http://other.test").read_head.status).to eq(404)
  end
end
