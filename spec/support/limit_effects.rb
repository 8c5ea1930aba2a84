# frozen_string_literal: true

require_relative "event_queue"

# What is seen of each limit, and of a response that ends within them, for SettingEffects.
module LimitEffects
  COMPLETED = EventQueue.new("completed response")

  def effect_of_max_request_body(app)
    upstream = serving { [200, {}, ""] }
    proxy = app.call(upstream.url)
    statuses = %w[abc abcd].map { |input| fetch(proxy, "/", method: "POST", input:).status }
    expect(statuses).to eq([200, 413])
  end

  def effect_of_max_response_body(app)
    expect_limit(app, [200, {}, "abc"], [200, {}, "abcd"])
  end

  def effect_of_max_headers(app)
    expect_limit(app, [200, { "A" => "1", "B" => "2" }, ""],
                 [200, { "A" => "1", "B" => "2", "C" => "3" }, ""])
  end

  def effect_of_max_header_bytes(app)
    expect_limit(app, [200, {}, ""], [200, { "X-Long" => "v" * 60 }, ""])
  end

  def effect_of_max_interim_responses(app)
    interim = "HTTP/1.1 102 Processing\r\n\r\n"
    final = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    expect_limit(app, interim + final, (interim * 2) + final)
  end

  def effect_of_on_complete(app)
    upstream = serving { [201, {}, "made"] }
    fetch(app.call(upstream.url))
    expect(COMPLETED.pop.status).to eq(201)
  end

  private

  # The first answer passes, the second is refused.
  def expect_limit(app, *answers)
    upstream = serving { answers.shift }
    proxy = app.call(upstream.url)
    expect(Array.new(2) { fetch(proxy).status }).to eq([200, 502])
  end
end
