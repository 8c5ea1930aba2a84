# frozen_string_literal: true

require "etc"

# A rackup text under a real server: `ServerProcess.puma(text, threads: 5)` or
# `ServerProcess.unicorn(text)`. `new` returns when the server listens.
class ServerProcess < RubyProcess
  LISTENING = %r{[Ll]istening on (?:addr=|http://|unix://)?(?:127\.0\.0\.1:(\d+)|(/\S+))}

  attr_reader :address, :kind

  # @param workers [Integer] 0 is Puma's single mode
  # @param more [String] further lines of Puma's configuration, such as `preload_app!`
  def self.puma(rackup, threads: 5, workers: 0, more: "", **process)
    new(:puma, rackup, **process, configuration: <<~RUBY)
      environment "production"
      threads #{threads}, #{threads}
      workers #{workers}
      #{more}
    RUBY
  end

  # @param more [String] further lines of Unicorn's configuration, such as `preload_app true`
  def self.unicorn(rackup, workers: 1, more: "", **process)
    new(:unicorn, rackup, **process, configuration: <<~RUBY)
      worker_processes #{workers}
      #{more}
    RUBY
  end

  # Starts `rackup` (source text, or the path of a file) under the server.
  def initialize(kind, rackup, configuration:, env: {}, unix: false)
    @kind = kind
    @single = configuration.include?("workers 0")
    @directory = Dir.mktmpdir("streaming-proxy")
    listen = unix ? File.join(@directory, "socket") : "127.0.0.1:0"
    super(*command(listen, configuration, rackup), env:, directory: @directory)
    await_readiness
  rescue StandardError
    stop
    raise
  end

  def port
    address if address.is_a?(Integer)
  end

  def url(path = "/")
    "http://127.0.0.1:#{port}#{path}"
  end

  # @return [Integer] what answers: the first worker, or in single mode the server itself
  def serving_pid
    @single ? pid : children.first
  end

  def rss
    ProcessFacts.rss(serving_pid)
  end

  def fds
    ProcessFacts.fds(serving_pid)
  end

  def threads
    ProcessFacts.threads(serving_pid)
  end

  # @return [Hash{Symbol => Integer}] Rack::StreamingProxy.stats of the serving process
  def stats
    RawClient.open(address) do |client|
      client.get("/__stats")
      JSON.parse(client.read_response.body, symbolize_names: true)
    end
  end

  def stop(signal: kind == :unicorn ? "QUIT" : "TERM", within: 2)
    super if pid
  ensure
    FileUtils.remove_entry(@directory) if @directory && File.exist?(@directory)
  end

  private

  def command(listen, configuration, rackup)
    config = write("server.rb", configuration)
    rackup = write("config.ru", rackup) if rackup.include?("\n")
    case kind
    when :puma then ["-S", "puma", "-b", puma_bind(listen), "-C", config, rackup]
    when :unicorn then ["-S", "unicorn", "-E", "none", "-l", listen, "-c", config, rackup]
    end
  end

  def puma_bind(listen)
    listen.start_with?("/") ? "unix://#{listen}" : "tcp://#{listen}"
  end

  def write(name, text)
    File.join(@directory, name).tap { |path| File.write(path, text) }
  end

  # Clients can connect as soon as it listens; the first worker is awaited because specs ask for
  # its pid.
  def await_readiness
    listening = output.wait_for(LISTENING, within: 20)
    @address = listening[1] ? listening[1].to_i : listening[2]
    output.wait_for(@single ? /Use Ctrl-C to stop/ : /worker=0 ready|Worker 0 .*booted/, within: 20)
  end
end
