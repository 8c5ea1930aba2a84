# frozen_string_literal: true

class ServerProcess
  # WEBrick as rackup starts it, with Rack 2's own handler or rackup's.
  class Webrick < ServerProcess
    READY = /HTTPServer#start: pid=\d+ port=(\d+)|Server#start: pid=\d+ port=(\d+)/

    # @param environment [String] for which rackup adds middlewares: "development", "deployment"
    def initialize(rackup, environment: "none", **process)
      @environment = environment
      super(rackup, **process)
    end

    # @return [Integer] there are no workers
    def serving_pid
      pid
    end

    def stop_signal
      "INT"
    end

    private

    def command(listen, rackup, _configuration)
      address, port = listen.split(":")
      ["-S", "rackup", "--server", "webrick", "--host", address, "--port", port,
       "--env", @environment, rackup]
    end

    def await_readiness
      @address = output.wait_for(READY, within: 20).captures.compact.first.to_i
    end
  end
end
