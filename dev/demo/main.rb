# frozen_string_literal: true

require_relative "../streamer/pattern"
require_relative "performance"
require_relative "stage"

module Demo
  # What bin/demo runs: the performance, or with `serve` only its stage.
  module Main
    # A variable of the environment has a value that cannot be used.
    class Refused < StandardError
    end

    LEAST = 1 << 20

    # @param mode [String, nil] "serve", or nothing
    # @return [Integer] the exit status
    def self.call(mode)
      $stdout.sync = true
      check_sabotage
      Stage.open(bytes) { |stage| mode == "serve" ? serve(stage) : perform(stage) }
    rescue Refused, Server::NotStarted => e
      warn "bin/demo: #{e.message}"
      2
    rescue SignalException => e
      return 0 if mode == "serve"

      warn "bin/demo: stopped by #{e.message.empty? ? e.signm : e.message}"
      128 + e.signo
    end

    def self.check_sabotage
      Sabotage.chosen
    rescue ArgumentError => e
      raise Refused, "DEMO_SABOTAGE: #{e.message}"
    end

    def self.bytes
      text = ENV.fetch("DEMO_BYTES", "1G")
      bytes = Streamer::Pattern.size(text)
      raise ArgumentError, "less than 1M: #{text.inspect}" if bytes < LEAST

      bytes
    rescue ArgumentError => e
      raise Refused, "DEMO_BYTES: #{e.message}"
    end

    def self.perform(stage)
      Performance.new(stage).call ? 0 : 1
    end

    # Waits for a signal, which ends it, or for a server that ends by itself.
    def self.serve(stage)
      stage.say(<<~TEXT)

        Try, in another terminal:
          curl -N #{stage.proxy.url}/slow_stream
          curl -N #{stage.proxy.url}/sse
          curl -T some-file #{stage.proxy.url}/upload
          curl -o /dev/null #{stage.proxy.url}/bytes/1G
          curl #{stage.proxy.url}/        (all that the upstream offers)

        Ctrl-C ends both servers.
      TEXT
      lost = stage.gone.pop
      stage.say("#{lost.ending}\n#{lost.last_words}")
      1
    end
    private_class_method :check_sabotage, :bytes, :perform, :serve
  end
end

exit Demo::Main.call(ARGV.first)
