# frozen_string_literal: true

# Law 9: secrets are never logged, and what is inspected lands in logs and error trackers.
RSpec.describe "What inspect shows" do
  secrets = { headers: { "Authorization" => "Bearer s3cret" } }

  it "has no secrets of a Target, a Proxy or its Configuration" do
    target = Rack::StreamingProxy::Target.new("http://user:s3cret@h/x?key=s3cret", **secrets)
    proxy = bare(**secrets) { target }
    configuration = Rack::StreamingProxy::Configuration.new(secrets)
    expect([target, proxy, configuration].map(&:inspect).join).not_to include("s3cret")
    expect(target.inspect).to eq("#<Rack::StreamingProxy::Target http://h/x>")
  end
end
