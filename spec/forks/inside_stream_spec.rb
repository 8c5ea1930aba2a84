# frozen_string_literal: true

RSpec.describe "A fork inside a stream" do
  include_context "with a forking script"

  # With a block the child ends there; without one it unwinds the frames of the stream.
  children = {
    "a child that ends by itself" => "fork { get('/whole') }",
    "a child that unwinds the stream" => "fork || exit",
    "a child that ends at once" => "fork || exit!",
    "a child that fails" => "fork || raise('lost')"
  }

  children.each do |name, child|
    it "in each: #{name} changes nothing for the parent" do
      result = script(<<~RUBY)
        $stderr.reopen(File::NULL)
        forked = nil
        p(get("/stream") do
          next if forked

          Process.wait(forked = (#{child}))
          get("/go/parent")
        end)
      RUBY
      expect(result.output).to eq(%([200, "ab"]\n))
    end
  end

  it "in the block that decides: parent and child both ask the upstream" do
    result = script(<<~RUBY)
      app = proxy do |request|
        child = fork
        child ? wait_for(child) : $child = true
        ENV.fetch("UPSTREAM") + request.fullpath
      end
      p get("/whole", app), $child
    RUBY
    expect(result.output).to eq(%([200, "whole"]\ntrue\n[200, "whole"]\nnil\n))
  end

  it "in on_complete" do
    result = script(<<~RUBY)
      app = proxy(on_complete: ->(response) { p wait_for(fork { p get("/whole"), response.status }) })
      p get("/whole", app)
    RUBY
    expect(result.output).to eq(%([200, "whole"]\n200\ntrue\n[200, "whole"]\n))
  end

  it "while another thread awaits a head, reads a body and sends an upload" do
    result = script(<<~RUBY)
      silent = Thread.new { get("/silent") }
      reading = Queue.new
      reader = Thread.new { get("/stream") { reading << true } }
      reading.pop
      slow = Struct.new(:sent) do
        def read(*) = sent ? sleep : self.sent = "x"
      end
      uploader = Thread.new do
        APP.call(Rack::MockRequest.env_for("/silent", method: "POST", input: "").merge(
          "rack.input" => slow.new, "CONTENT_LENGTH" => "2"))
      end
      soon { Rack::StreamingProxy.stats[:bytes_up] == 1 }
      5.times { p wait_for(fork { exit!(get("/whole") == [200, "whole"]) }) }
      get("/go/parent")
      p reader.value, silent.alive?, uploader.alive?
      [silent, uploader].each { |thread| thread.kill.join }
      p soon { Rack::StreamingProxy.stats[:exchanges].zero? }
    RUBY
    expect(result.output).to eq("#{"true\n" * 5}[200, \"ab\"]\ntrue\ntrue\ntrue\n")
  end
end
