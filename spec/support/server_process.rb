# frozen_string_literal: true

require_relative "../../dev/matrix/installed"

# A rackup text under a real server in a process of its own: `ServerProcess.start(:puma, text)`.
# Each server is a subclass in spec/support/servers: its package, command line, the line by which it
# says that it is ready, and the signal that ends it. `new` returns when clients can connect.
class ServerProcess < RubyProcess
  LISTENING = %r{[Ll]istening on (?:addr=|http://|unix://)?(?:127\.0\.0\.1:(\d+)|(/\S+))}

  attr_reader :address, :directory

  class << self
    # @param kind [Symbol] the name of the file in spec/support/servers
    # @return [Class]
    def of(kind)
      const_get(kind.to_s.split("_").map(&:capitalize).join, false)
    end

    # Starts `rackup` (source text, or the path of a file) under the server.
    def start(kind, rackup, **options)
      of(kind).new(rackup, **options)
    end

    # @return [Gem::Version, nil] of the server on this system; nil if it is not here
    def version
      @version ||= Installed.version(package)&.then { |version| Gem::Version.new(version) }
    end

    # @return [Boolean] whether it is of this version or a later one
    def at_least?(wanted)
      version >= Gem::Version.new(wanted)
    end

    # @return [Array<String>] the gems whose versions are told to people
    def packages
      [package]
    end

    # @return [Hash{Symbol => Object}] options for one that serves one request at a time
    def single
      {}
    end

    # @return [String] the gem that it comes from
    def package
      name.split("::").last.downcase
    end
  end

  # @param configuration [String] text of the server's configuration file, where it has one
  # @param unix [Boolean] whether to listen on a Unix socket
  # @param fixed [Boolean] whether to name the port, for a server that binds again on a restart
  # @param process [Hash] more for RubyProcess
  def initialize(rackup, configuration: "", unix: false, fixed: false, **process)
    @directory = Dir.mktmpdir("streaming-proxy")
    rackup = write("config.ru", rackup) if rackup.include?("\n")
    @reserved = ReservedPort.new if fixed
    listen = unix ? File.join(@directory, "socket") : "127.0.0.1:#{@reserved&.number || 0}"
    super(*command(listen, rackup, write("server.rb", configuration)),
          **process, directory: @directory,
                     env: { "TMPDIR" => @directory }.merge(process.fetch(:env, {})))
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

  # @return [Array<Integer>] the processes that it has made
  def family
    ProcessFacts.descendants(pid)
  end

  # @return [Array<Integer>] all its processes, also those that a restart has left without a parent
  def members
    [pid, *family, *ProcessFacts.group(pid).keys].uniq
  end

  # @return [Array<Integer>] those of the processes that the others come from
  def leaders
    group = ProcessFacts.group(pid)
    group.reject { |_, parent| group.key?(parent) }.keys
  end

  # @return [Integer] what answers: the first worker
  def serving_pid
    children.first
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

  # @return [Proc] which tells whether what answers by now is of a later start than all before
  def restart_since_now
    old = members - [pid]
    before = boot
    -> { (now = boot) && now != before && !old.include?(now.to_i) }
  end

  # The signal at which it ends with its requests finished, where it has one.
  def stop_signal
    "TERM"
  end

  def stop(signal: stop_signal, within: 2)
    super if pid
  ensure
    @reserved&.close
    FileUtils.remove_entry(@directory) if @directory && File.exist?(@directory)
  end

  private

  # @!method command(listen, rackup, configuration)
  #   @param listen [String] address and port, or the path of a Unix socket
  #   @param rackup [String] path of the config.ru
  #   @param configuration [String] path of the configuration file
  #   @return [Array<String>] arguments for Ruby

  # @return [String, nil] the process that answers, and its application's start
  def boot
    RawClient.open(address) do |client|
      client.get("/__boot", { "Connection" => "close" })
      client.read_response(within: 30).body
    end
  rescue SystemCallError, RawSocket::Ended
    nil
  end

  # Clients can connect as soon as it listens. On a busy machine Rails takes its time.
  def await_readiness
    listening = output.wait_for(LISTENING, within: 40)
    @address = listening[1] ? listening[1].to_i : listening[2]
  end

  def write(name, text)
    File.join(@directory, name).tap { |path| File.write(path, text) }
  end
end

Dir[File.join(__dir__, "servers", "*.rb")].sort.each { |file| require file }
