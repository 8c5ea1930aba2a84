# frozen_string_literal: true

class ServerProcess
  # `ServerProcess::Unicorn.new(text, workers: 2)`.
  class Unicorn < ServerProcess
    # @param more [String] further lines of the configuration, such as `preload_app true`
    def initialize(rackup, workers: 1, more: "", **process)
      super(rackup, **process, configuration: <<~RUBY)
        worker_processes #{workers}
        #{more}
      RUBY
    end

    def stop_signal
      "QUIT"
    end

    private

    def command(listen, rackup, configuration)
      ["-S", "unicorn", "-E", "none", "-l", listen, "-c", configuration, rackup]
    end

    # The first worker is awaited because specs ask for its pid.
    def await_readiness
      super
      output.wait_for(/worker=0 ready/, within: 20)
    end
  end
end
