# frozen_string_literal: true

require "json"
require "securerandom"

# The application behind the proxy in the specs: it says that it was reached, and tells the counters
# of the process that it runs in.
module InnerApp
  # Tells one start of the application from the next.
  BOOT = SecureRandom.hex

  module_function

  def call(env)
    case env["PATH_INFO"]
    when "/__stats" then answer(JSON.generate(Rack::StreamingProxy.stats))
    when "/__pid" then answer(Process.pid.to_s)
    when "/__boot" then answer("#{Process.pid} #{BOOT}")
    when "/__threads" then answer(Thread.list.size.to_s)
    when "/__gc" then answer(GC.start.to_s)
    when "/boom" then raise "app error"
    else answer("not proxied")
    end
  end

  def answer(text)
    [200, { "content-type" => "text/plain", "content-length" => text.bytesize.to_s }, [text]]
  end
end
