# frozen_string_literal: true

require_relative "hijacked_calls"

# What is seen of each setting of the delivery, for SettingEffects.
module DeliveryEffects
  include HijackedCalls

  def effect_of_delivery(app)
    upstream = serving { [200, {}, "text"] }
    server, client = socket_pair
    hand_over(answer_offered(app.call(upstream.url)), server)
    expect(client.read).to eq("text")
  end

  def effect_of_auto_hijack_above(app)
    upstream = serving { [200, {}, "text"] }
    answer = answer_offered(app.call(upstream.url, delivery: :auto))
    expect(offers_hijack?(answer)).to be(true)
    answer.last.close
  end

  def effect_of_drain_timeout(app)
    upstream = start_upstream do |connection|
      connection.read_head
      connection.begin_chunked
      connection.wait_for_end(within: 20)
    end
    server, = socket_pair
    hand_over(answer_offered(app.call(upstream.url, delivery: :hijack)), server)
    expect(elapsed { Rack::StreamingProxy.shutdown }).to be_between(0.2, 20) # by default 25
  end

  def effect_of_send_timeout(app)
    expect_leave_of_stalled(app)
  end

  def effect_of_min_send_rate(app)
    expect_leave_of_stalled(app)
  end

  def effect_of_max_streams(app)
    upstream = start_upstream do |connection|
      connection.read_head
      connection.begin_chunked
      connection.wait_for_end(within: 20)
    end
    proxy = app.call(upstream.url, delivery: :hijack)
    first = answer_offered(proxy)
    expect([first, answer_offered(proxy)].map(&:first)).to eq([200, 503])
    first.last.close
  end

  private

  # A client that takes nothing, for whom more is to come than the sockets hold.
  def expect_leave_of_stalled(app)
    ended = EventQueue.new("end of the upstream's connection")
    upstream = start_upstream do |connection|
      connection.read_head
      connection.begin_chunked
      loop { connection.chunk("x" * 65_536) }
    rescue SystemCallError
      ended << true
    end
    server, = socket_pair
    hand_over(answer_offered(app.call(upstream.url, delivery: :hijack)), server)
    expect(ended.pop(within: 20)).to be(true)
  end
end
