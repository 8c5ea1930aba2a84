# frozen_string_literal: true

# Smart spawning: Passenger loads the application once and forks its processes from there.
RSpec.describe "Passenger's smart spawning" do
  next unless ServerProcess::Passenger.version

  # Uses the proxy in the process that loads the application.
  used = <<~RUBY
    require "rack/mock"
    early = Rack::StreamingProxy::Proxy.new(proc {}, logger: Logger.new(nil)) do
      ENV.fetch("UPSTREAM") + "/early"
    end
    _, _, early_body = early.call(Rack::MockRequest.env_for("/"))
    early_body.each {}
    early_body.close
  RUBY

  { "when the proxy was used before the fork" => "",
    "when it was drained then" => "Rack::StreamingProxy.drain(within: 5)" }.each do |name, drain|
    it "forks processes that serve, #{name}" do
      upstream = serving { |request| [200, {}, request.head.target] }
      above = <<~RUBY
        #{used}
        #{drain}
        PhusionPassenger.on_event(:starting_worker_process) do |forked|
          puts "forked: \#{forked}, started: \#{Rack::StreamingProxy.stats[:started]}"
        end
      RUBY
      server = start_server(:passenger, RackupText.proxy(above:),
                            env: { "UPSTREAM" => upstream.url("") })
      server.output.wait_for(/forked: true, started: 0/)
      3.times do |number|
        client = connect(server)
        client.get("/#{number}")
        expect(client.read_response(within: 10).body).to eq("/#{number}")
      end
      # The first connection is of the process that loaded the application: nobody else uses it.
      expect(upstream.connections.map { |connection| connection.heads.map(&:target) })
        .to eq([["/early"], %w[/0 /1 /2]])
    end
  end
end
