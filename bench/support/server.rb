# frozen_string_literal: true

require "json"
require "net/http"
require "socket"

module Bench
  # Puma with bench/proxy.ru in a process of its own, and what the system tells of it.
  class Server
    ROOT = File.expand_path("../..", __dir__)
    TICKS = Etc.sysconf(Etc::SC_CLK_TCK).to_f
    private_constant :ROOT, :TICKS

    # @return [Integer]
    attr_reader :port, :pid

    # @param upstream [Integer] its port
    # @param delivery [Symbol]
    # @param threads [Integer]
    def initialize(upstream, delivery, threads: 5)
      environment = { "UPSTREAM" => "http://127.0.0.1:#{upstream}", "DELIVERY" => delivery.to_s,
                      "WEB_CONCURRENCY" => nil }
      reader, writer = IO.pipe
      @pid = Process.spawn(environment, "puma", "-C", "-", "-e", "production",
                           "-t", "#{threads}:#{threads}", "-b", "tcp://127.0.0.1:0",
                           "bench/proxy.ru",
                           chdir: ROOT, in: File::NULL, %i[out err] => writer)
      writer.close
      @port = listening(reader)
      @output = Thread.new { IO.copy_stream(reader, File::NULL) }
    end

    # @return [Integer] resident memory in KiB
    def rss = status("VmRSS")

    # @return [Float] seconds of CPU that it has used
    def cpu = Server.cpu(@pid)

    # @return [Integer] open descriptors
    def descriptors = Dir.children("/proc/#{@pid}/fd").size

    # @return [Integer]
    def threads = Dir.children("/proc/#{@pid}/task").size

    # @return [Hash{String => Object}] Rack::StreamingProxy.stats
    def stats = JSON.parse(Net::HTTP.get(URI("http://127.0.0.1:#{@port}/__stats")))

    def stop
      Process.kill("TERM", @pid)
      Timeout.timeout(10) { Process.wait(@pid) }
    rescue Timeout::Error
      Process.kill("KILL", @pid)
      Process.wait(@pid)
    end

    # @param pid [Integer]
    # @return [Float] seconds of CPU that a process has used
    def self.cpu(pid)
      File.read("/proc/#{pid}/stat").split(") ").last.split.values_at(11, 12).sum(&:to_i) / TICKS
    end

    private

    def listening(output)
      text = +""
      text << output.readpartial(4096) until
        (port = text[%r{Listening on http://127\.0\.0\.1:(\d+)\n}, 1])
      port.to_i
    rescue EOFError
      raise "Puma did not start:\n#{text}"
    end

    def status(name) = File.read("/proc/#{@pid}/status")[/^#{name}:\s+(\d+)/, 1].to_i
  end
end
