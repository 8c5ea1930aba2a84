# frozen_string_literal: true

RSpec.describe Rack::StreamingProxy::Proxy, "and its settings" do
  include SettingEffects

  let(:quiet) { Class.new(described_class) { self.logger = Logger.new(nil) } }

  # A subclass with these class accessors assigned.
  def with_accessors(settings, base: quiet)
    Class.new(base) { settings.each { |name, value| public_send("#{name}=", value) } }
  end

  it "have an effect that is shown here, each of them" do
    shown = SettingEffects::VALUES.keys + [:logger]
    expect(shown).to match_array(Rack::StreamingProxy::Settings::ALL.keys)
  end

  SettingEffects::VALUES.each_key do |setting|
    describe setting.to_s do
      it "works as a keyword" do
        expect_effect_of(setting, ->(given, url) { quiet.new(InnerApp, **given) { url } })
      end

      it "works as a class accessor" do
        expect_effect_of(setting, lambda { |given, url|
          with_accessors(given).new(InnerApp) { url }
        })
      end

      it "is inherited by a subclass" do
        expect_effect_of(setting, lambda { |given, url|
          Class.new(with_accessors(given)).new(InnerApp) { url }
        })
      end

      it "works in a Target" do
        expect_effect_of(setting, lambda { |given, url|
          own, rest = given.partition { |name, _| name == setting }.map(&:to_h)
          quiet.new(InnerApp, **rest) { Rack::StreamingProxy::Target.new(url, **own) }
        })
      end
    end
  end

  describe "headers" do
    let(:upstream) { serving { [200, {}, ""] } }

    { "an empty value" => "", "bytes that are no UTF-8" => "\xFF" }.each do |what, value|
      it "sends #{what} as it is" do
        fetch(quiet.new(InnerApp, headers: { "X-A" => value, "X-B" => value.b }) { upstream.url })
        head = upstream.wait_for_request
        expect(%w[x-a x-b].map { |name| head.all(name).map(&:b) }).to eq([[value.b], [value.b]])
      end
    end
  end

  describe "logger" do
    let(:logger) { InProcessCalls::RecordingLogger.new }
    let(:upstream) { serving { [200, {}, ""] } }

    it "works as a keyword" do
      fetch(described_class.new(InnerApp, logger:) { upstream.url })
      expect(logger.lines).not_to be_empty
    end

    it "works as a class accessor, and is inherited" do
      fetch(Class.new(with_accessors({ logger: })).new(InnerApp) { upstream.url })
      expect(logger.lines).not_to be_empty
    end
  end

  describe "precedence" do
    let(:upstream) { serving { [503, {}, ""] } }
    let(:fast) { { retry_delay: 0.01 } }

    def attempts(app)
      before = upstream.requests.size
      fetch(app)
      upstream.requests.size - before
    end

    it "prefers a Target to a keyword" do
      app = quiet.new(InnerApp, num_retries_on_5xx: 1, **fast) do
        Rack::StreamingProxy::Target.new(upstream.url, num_retries_on_5xx: 2)
      end
      expect(attempts(app)).to eq(3)
    end

    it "prefers a keyword to an accessor" do
      base = with_accessors({ num_retries_on_5xx: 3, **fast })
      expect(attempts(base.new(InnerApp, num_retries_on_5xx: 1) { upstream.url })).to eq(2)
    end

    it "prefers a subclass's accessor to its parent's" do
      parent = with_accessors({ num_retries_on_5xx: 3, **fast })
      child = with_accessors({ num_retries_on_5xx: 1 }, base: parent)
      expect(attempts(child.new(InnerApp) { upstream.url })).to eq(2)
      expect(attempts(parent.new(InnerApp) { upstream.url })).to eq(4)
    end

    it "lets an explicit 0 count" do
      base = with_accessors({ num_retries_on_5xx: 3, **fast })
      expect(attempts(base.new(InnerApp, num_retries_on_5xx: 0) { upstream.url })).to eq(1)
    end

    it "lets an explicit false count" do
      base = with_accessors({ raise_on_5xx: true })
      expect(fetch(base.new(InnerApp, raise_on_5xx: false) { upstream.url }).status).to eq(503)
      app = base.new(InnerApp) do
        Rack::StreamingProxy::Target.new(upstream.url, raise_on_5xx: false)
      end
      expect(fetch(app).status).to eq(503)
    end

    it "lets an explicit nil count" do
      slow = start_upstream do |connection|
        connection.serve do
          sleep 0.3
          [200, {}, "late"]
        end
      end
      base = with_accessors({ timeout: 0.1 })
      expect(fetch(base.new(InnerApp) { slow.url }).status).to eq(504)
      expect(fetch(base.new(InnerApp, timeout: nil) { slow.url }).body).to eq("late")
    end

    it "takes up an accessor that changes after the first request" do
      base = with_accessors({ num_retries_on_5xx: 0, **fast })
      app = base.new(InnerApp) { upstream.url }
      expect(attempts(app)).to eq(1)
      base.num_retries_on_5xx = 2
      expect(attempts(app)).to eq(3)
    end

    it "takes up a parent's accessor that changes after the first request" do
      parent = with_accessors({ num_retries_on_5xx: 0, **fast })
      app = Class.new(parent).new(InnerApp) { upstream.url }
      expect(attempts(app)).to eq(1)
      parent.num_retries_on_5xx = 1
      expect(attempts(app)).to eq(2)
    end
  end

  describe "the accessors of 2.x on Proxy itself" do
    it "read what was written and reach every middleware" do
      upstream = serving { [503, {}, ""] }
      result = RubyScript.run(<<~RUBY, env: { "UPSTREAM" => upstream.url })
        require "rack/mock"
        proxy = Rack::StreamingProxy::Proxy
        app = Class.new(proxy).new(proc {}) { ENV.fetch("UPSTREAM") }
        proxy.logger = Logger.new(nil)
        proxy.log_verbosity = :high
        proxy.num_retries_on_5xx = 2
        proxy.retry_delay = 0.01
        proxy.raise_on_5xx = true
        p [proxy.logger.class, proxy.log_verbosity, proxy.num_retries_on_5xx, proxy.raise_on_5xx]
        begin
          app.call(Rack::MockRequest.env_for("/"))
        rescue Rack::StreamingProxy::HttpServerError => e
          p [:raised, e.status]
        end
      RUBY
      expect(result.output).to eq("[Logger, :high, 2, true]\n[:raised, 503]\n")
      expect(upstream.requests.size).to eq(3)
    end

    it "have the documented defaults" do
      result = RubyScript.run(<<~RUBY)
        proxy = Rack::StreamingProxy::Proxy
        proxy.new(proc {}) { nil }
        p [proxy.log_verbosity, proxy.num_retries_on_5xx, proxy.raise_on_5xx]
      RUBY
      expect(result.output).to eq("[:low, 0, false]\n")
    end
  end
end
