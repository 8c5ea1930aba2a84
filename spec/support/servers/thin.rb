# frozen_string_literal: true

class ServerProcess
  # `ServerProcess::Thin.new(text, more: ["--threaded"])`.
  class Thin < ServerProcess
    # @param more [Array<String>] further arguments
    def initialize(rackup, more: [], **process)
      @arguments = more
      super(rackup, fixed: true, **process)
    end

    # @return [Integer] there are no workers
    def serving_pid
      pid
    end

    def stop_signal
      "QUIT"
    end

    private

    def command(listen, rackup, _configuration)
      address, port = listen.split(":")
      ["-S", "thin", "start", "--address", address, "--port", port, "--rackup", rackup,
       "--environment", "production", *@arguments]
    end

    # It says so before it listens, and heeds signals when it has begun to answer.
    def await_readiness
      super
      Deadline.in(20).poll { answering? } or raise "Thin does not listen:\n#{output}"
    end

    def answering?
      RawClient.open(address) { |client| client.get("/__pid").read_response }
    rescue Errno::ECONNREFUSED
      false
    end
  end
end
