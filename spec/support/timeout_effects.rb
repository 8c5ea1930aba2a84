# frozen_string_literal: true

# What is seen of each timeout, for SettingEffects.
module TimeoutEffects
  def effect_of_connect_timeout(app)
    expect_timeout(app.call(keep(DeafListener.new).url))
  end

  def effect_of_timeout(app)
    expect_timeout(app.call(silent_upstream.url))
  end

  def effect_of_total_timeout(app)
    expect_timeout(app.call(silent_upstream.url))
  end

  def effect_of_idle_timeout(app)
    upstream = start_upstream do |connection|
      connection.read_head
      connection.begin_chunked
      connection.chunk("x")
      connection.wait_for_end
    end
    expect { fetch(app.call(upstream.url)) }.to raise_error(Rack::StreamingProxy::BodyError)
  end

  private

  def silent_upstream
    start_upstream do |connection|
      connection.read_head
      connection.wait_for_end
    end
  end

  def expect_timeout(app)
    answer = nil
    expect(elapsed { answer = fetch(app) }).to be_between(0.2, 4) # by default 5 and more
    expect(answer.status).to eq(504)
  end
end
