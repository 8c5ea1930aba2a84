# frozen_string_literal: true

require "tmpdir"
require_relative "sabotage"
require_relative "server"

module Demo
  # The two servers, the terminal, and a directory for the logs that is removed at the end.
  class Stage
    DEV = File.expand_path("..", __dir__)

    # @return [Server]
    attr_reader :upstream, :proxy
    # @return [Integer] how long the download is
    attr_reader :bytes
    # @return [Queue] the servers whose process has ended
    attr_reader :gone

    # Starts both servers, yields the stage and stops them, whatever happens.
    #
    # @param bytes [Integer]
    # @return what the block returns
    # @raise [Server::NotStarted]
    def self.open(bytes)
      Dir.mktmpdir("streaming-proxy-demo-") do |directory|
        stage = new(bytes, directory)
        stage.start
        yield stage
      ensure
        # A second Ctrl-C must not leave a server behind.
        %w[INT TERM HUP].each { |signal| trap(signal, "IGNORE") }
        stage&.stop
      end
    end

    def initialize(bytes, directory)
      @bytes = bytes
      @directory = directory
      @gone = Queue.new
    end

    def start
      @upstream = server("the upstream", "streamer")
      @proxy = server("the proxy", "proxy", "UPSTREAM" => upstream.url)
      say("upstream  #{upstream.url}  dev/streamer.ru on Puma, process #{upstream.pid}")
      say("proxy     #{proxy.url}  dev/proxy.ru on Puma, process #{proxy.pid}")
      say("sabotage  #{Sabotage.chosen.description}") if Sabotage.chosen
    end

    # Ends both servers. May block for a few seconds.
    def stop
      # The proxy first, so that it never finds its upstream gone.
      [proxy, upstream].compact.each(&:stop)
    end

    # @return [Array<Server>] those that have ended by themselves
    def lost
      [upstream, proxy].reject(&:running?)
    end

    def say(text)
      puts text
    end

    private

    def server(name, rackup, environment = {})
      Server.new(name, File.join(DEV, "#{rackup}.ru"),
                 log: File.join(@directory, "#{rackup}.log"), gone:, environment:)
    end
  end
end
