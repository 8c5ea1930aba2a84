# frozen_string_literal: true

class ServerProcess
  # Passenger Standalone without nginx, whose part its own core takes ("builtin" engine). One
  # request at a time in each process of the application.
  class Passenger < ServerProcess
    LISTENING = %r{Accessible via: http://127\.0\.0\.1:(\d+)}

    # By itself Passenger's core gives a process one request after the other has been answered.
    def self.single
      { more: %w[--force-max-concurrent-requests-per-process 0] }
    end

    # @param workers [Integer] processes at the most
    # @param more [Array<String>] further arguments
    def initialize(rackup, workers: 1, more: [], **process)
      @arguments = ["--max-pool-size", workers.to_s, *more]
      super(rackup, **process, fixed: true)
    end

    # @return [Integer] the process of the application, which is no child of the first one
    def serving_pid
      RawClient.open(address) do |client|
        client.get("/__pid")
        client.read_response(within: 20).body.to_i
      end
    end

    # Its processes lead sessions of their own: the first one ends them.
    def stop(within: 10, **how)
      members = pid ? family : []
      super
    ensure
      left = members&.select { |one| ProcessFacts.title(one).include?("Passenger") }
      left&.each { |one| signal("KILL", one) }
    end

    # @return [Array<Integer>] the watchdog, the core and the application's processes
    def family
      watchdog = File.read(pid_file).to_i
      [watchdog, *ProcessFacts.descendants(watchdog)]
    rescue Errno::ENOENT
      []
    end

    private

    def pid_file
      File.join(@directory, "passenger.pid")
    end

    # It asks the Internet for updates and asks the application for "/", unless told not to.
    def command(listen, rackup, _configuration)
      address, port = listen.split(":")
      ["-S", "passenger", "start", "--engine", "builtin", "--address", address, "--port", port,
       "--rackup", rackup, "--environment", "production", "--pid-file", pid_file,
       "--log-file", "/dev/stdout", "--disable-log-prefix", "--disable-turbocaching",
       "--disable-security-update-check", "--disable-anonymous-telemetry",
       "--ctl", "prestart_urls=[]", *@arguments]
    end

    # The application is started at the first request.
    def await_readiness
      @address = output.wait_for(LISTENING, within: 30)[1].to_i
      serving_pid
    end
  end
end
