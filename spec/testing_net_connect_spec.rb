# frozen_string_literal: true

require "rack/streaming_proxy/testing"

RSpec.describe Rack::StreamingProxy::Testing, "and real connections" do
  let(:upstream) { serving { [200, {}, "real"] } }

  after do
    described_class.allow_net_connect!
    described_class.reset
  end

  def ask(url = upstream.url)
    fetch(bare { url }).body
  end

  def refused
    raise_error(described_class::NetConnectNotAllowedError)
  end

  it "lets them through unless it is told otherwise" do
    described_class.stub(/other/) { [200, {}, []] }
    expect(ask).to eq("real")
    expect(described_class.requests).to be_empty
  end

  it "refuses them on demand, and asks nobody" do
    described_class.disable_net_connect!
    expect { ask }.to refused
    expect(upstream.connections).to be_empty
    described_class.allow_net_connect!
    expect(ask).to eq("real")
  end

  it "answers for what is stubbed all the same" do
    described_class.disable_net_connect!
    described_class.stub(upstream.url) { [200, {}, ["stub"]] }
    expect(ask).to eq("stub")
  end

  it "says which request it was, how to stub it, and what is stubbed" do
    described_class.disable_net_connect!
    described_class.stub(/other/, method: :post) { nil }
    described_class.stub("http://files.internal/b") { nil }
    expect { fetch(bare { "http://me:secret@files.internal:81/a?b" }, "/", method: "PUT") }
      .to raise_error(described_class::NetConnectNotAllowedError, <<~TEXT)
        No stub fits PUT http://files.internal:81/a?b, and real connections are not allowed here. Stub it:

          Rack::StreamingProxy::Testing.stub("http://files.internal:81/a?b", method: :put) do |request|
            [200, { "Content-Type" => "text/plain" }, ["hello"]]
          end

        or allow it: Rack::StreamingProxy::Testing.disable_net_connect!(allow: "files.internal")

        There are stubs for
          any method http://files.internal/b
          POST /other/
      TEXT
  end

  it "is nothing that an application rescues by the way" do
    expect(described_class::NetConnectNotAllowedError.ancestors).not_to include(StandardError)
  end

  it "lets through what is allowed: a host, a host with its port, localhost, anything with ===" do
    [upstream.authority, "127.0.0.1", "localhost", "LOCALHOST", %r{\Ahttp://127},
     ->(url) { url == upstream.url }, ["other.test", "localhost"]].each do |allow|
      described_class.disable_net_connect!(allow:)
      expect(ask).to eq("real"), allow.inspect
    end
  end

  it "refuses what only resembles it" do
    never = ->(_url) { false }
    ["other.test", "127.0.0.1:1", "7.0.0.1", "27.0.0.1", /https/, never, []].each do |allow|
      described_class.disable_net_connect!(allow:)
      expect { ask }.to refused, allow.inspect
    end
    described_class.disable_net_connect!(allow: "localhost")
    %w[http://localhost.test/ http://127.0.0.1.test/ http://user:@test/localhost].each do |url|
      expect { ask(url) }.to refused, url
    end
  end
end
