# frozen_string_literal: true

class ServerProcess
  # `ServerProcess::Puma.new(text, threads: 5)`.
  class Puma < ServerProcess
    # A Puma that is told to end may hang in closing the pipe to which its signal handler writes
    # (puma/puma#3677). Its own fix (puma/puma#3940) writes with `syswrite`: IO#close waits for that
    # too, and hangs under Ruby 3.3 all the same; `write_nonblock` is nothing that it waits for.
    ENDING = <<~RUBY
      Puma::Server.prepend(Module.new do
        def notify_safely(message)
          @notify&.write_nonblock(message, exception: false)
        rescue IOError, Errno::EPIPE, Errno::EBADF
          nil # The server's own thread is ending it.
        end
      end)
    RUBY
    private_constant :ENDING

    def self.single
      { threads: 1 }
    end

    # @param workers [Integer] 0 is single mode
    # @param more [String] further lines of the configuration, such as `preload_app!`
    # @param process [Hash] `tls:` what else to listen on, as `ADDRESS:PORT?key=FILE&cert=FILE`
    def initialize(rackup, threads: 5, workers: 0, more: "", **process)
      @single = workers.zero?
      @tls = process.delete(:tls)
      super(rackup, **process, configuration: <<~RUBY + ENDING)
        environment "production"
        threads #{threads}, #{threads}
        workers #{workers}
        #{more}
      RUBY
    end

    def serving_pid
      @single ? pid : super
    end

    private

    def command(listen, rackup, configuration)
      bind = listen.start_with?("/") ? "unix://#{listen}" : "tcp://#{listen}"
      secure = @tls ? ["-b", "ssl://#{@tls}"] : []
      ["-S", "puma", "-b", bind, *secure, "-C", configuration, rackup]
    end

    # The first worker is awaited because specs ask for its pid.
    def await_readiness
      super
      output.wait_for(@single ? /Use Ctrl-C to stop/ : /Worker 0 .*booted/, within: 20)
    end
  end
end
