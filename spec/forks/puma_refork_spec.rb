# frozen_string_literal: true

# Puma's fork_worker: worker 0 serves, and at a SIGURG the other workers are forked from it anew.
RSpec.describe "Puma's fork_worker" do
  hook = ServerProcess::Puma.at_least?("7") ? "before_refork" : "on_refork"
  # Within Puma's configuration a plain Rack may be Puma::Rack.
  drain = <<~RUBY
    #{hook} do
      drained = ::Rack::StreamingProxy.drain(within: 5)
      threads = Dir["/proc/self/task/*/comm"].count { |path| File.read(path).start_with?("rsp-") }
      puts "drained: \#{drained}, threads: \#{threads}"
    end
  RUBY

  # Answers; /stream/N sends a tick whenever it is told to.
  let(:upstream) do
    @ticks = ticks = Array.new(20) { EventQueue.new("sign to tick") }
    start_upstream do |connection|
      loop do
        target = connection.read_head(within: 60).target
        next connection.respond(200, {}, "quick") unless target.start_with?("/stream")

        tick = ticks[target[/\d+/].to_i]
        connection.begin_chunked
        connection.chunk("first")
        while (event = tick.pop(within: 30)) != :end
          connection.chunk(event)
        end
        connection.end_chunked
      end
    end
  end

  def start(more)
    server = start_server(:puma, RackupText.proxy, workers: 2, more: "fork_worker\n#{more}",
                                                   env: { "UPSTREAM" => upstream.url("") })
    @first = booted(server, 0, 0)
    booted(server, 1, 0)
    server
  end

  # @return [Integer] the worker's pid, once it says that it is there
  def booted(server, index, phase)
    line = /Worker #{index} \(PID: (\d+)\) booted.*phase: #{phase}/
    server.output.wait_for(line, within: 30)[1].to_i
  end

  def refork(server, phase)
    server.signal("URG")
    booted(server, 1, phase)
  end

  # Asks until this worker, which the log line names, has served too. At a refork Puma closes
  # connections that wait for another request: each has one only.
  def expect_service(server, pid, path)
    served = Deadline.new(20).poll do
      client = connect(server)
      client.get(path, { "Connection" => "close" })
      expect(client.read_response(within: 10).body).to eq("quick")
      server.output.to_s.match?(/##{pid}\].*Finishing proxy request to: \S+ \S+#{path} /)
    end
    expect(served).to be(true)
  end

  # A stream that worker 0 has taken; @tick is for it.
  def stream_of_first(server)
    @ticks.each_with_index do |tick, number|
      @tick = tick
      client = connect(server)
      client.get("/stream/#{number}")
      client.read_head(within: 10)
      expect(client.read_chunk).to eq("first")
      return client if server.output.to_s.match?(%r{##{@first}\].*Starting .*/stream/#{number}$})

      client.close
    end
    raise "worker 0 takes no request"
  end

  { "with the hook" => drain, "without a hook" => "" }.each do |name, more|
    it "forks from a worker that has streamed, again and again, #{name}" do
      server = start(more)
      seconds = (1..3).map do |phase|
        expect_service(server, @first, "/before/#{phase}")
        second = refork(server, phase)
        expect(File.read("/proc/#{second}/status")[/^PPid:\s+(\d+)/, 1].to_i).to eq(@first)
        expect_service(server, second, "/after/#{phase}")
        second
      end
      expect(seconds.uniq.size).to eq(3)
      drained = server.output.to_s.scan(/^drained: .*/)
      expect(drained).to eq(more.empty? ? [] : ["drained: true, threads: 0"] * 3)
    end
  end

  it "waits for a stream in worker 0, which goes on, and forks then" do
    server = start(drain)
    client = stream_of_first(server)
    server.signal("URG")
    %w[second third].each do |tick|
      @tick << tick
      expect(client.read_chunk).to eq(tick)
    end
    expect(server.output.to_s).not_to match(/Worker 1 .*phase: 1/)
    @tick << :end
    expect(client.read_chunk).to be_nil
    expect_service(server, booted(server, 1, 1), "/after")
    expect(server.output.to_s).to include("drained: true, threads: 0")
  end
end
