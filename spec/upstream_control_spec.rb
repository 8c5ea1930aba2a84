# frozen_string_literal: true

# An upstream that is not ours could drive the front server or Rack itself with these.
RSpec.describe Rack::StreamingProxy::Proxy, "and headers that command servers" do
  let(:upstream) { name.then { |command| serving { [200, { command => "x" }, "ok"] } } }

  %w[X-Accel-Redirect X-Accel-Buffering X-Accel-Whatever X-Sendfile X-Lighttpd-Send-File
     X-Reproxy-Url].each do |command|
    context "with #{command}" do
      let(:name) { command }

      it "removes it" do
        answer = fetch(linted { upstream.url })
        expect(answer.body).to eq("ok")
        expect(answer[command]).to be_nil
      end

      it "keeps it with trust_upstream: true" do
        expect(fetch(linted(trust_upstream: true) { upstream.url })[command]).to eq("x")
      end
    end
  end

  %w[rack.hijack Rack.Anything status Status].each do |command|
    context "with #{command}" do
      let(:name) { command }

      [false, true].each do |trust|
        it "removes it with trust_upstream: #{trust}" do
          answer = fetch(linted(trust_upstream: trust) { upstream.url })
          expect(answer.body).to eq("ok")
          expect(answer[command]).to be_nil
        end
      end
    end
  end

  context "with rack.hijack, on Puma" do
    let(:name) { "rack.hijack" }

    it "still answers whole" do
      server = start_puma(RackupText.proxy, env: { "UPSTREAM" => upstream.url("") })
      client = connect(server)
      client.get
      response = client.read_response
      expect([response.status, response.body]).to eq([200, "ok"])
    end
  end
end
