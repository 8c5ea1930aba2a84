# frozen_string_literal: true

class ServerProcess
  # Falcon's core: async-http's server with protocol-rack's adapter. Falcon itself is no Debian
  # package.
  class Falcon < ServerProcess
    LAUNCHER = File.join(RubyProcess::ROOT, "spec", "support", "launchers", "falcon.rb")

    def self.package
      "protocol-rack"
    end

    def self.packages
      ["async-http", package]
    end

    # @return [Integer] there are no workers
    def serving_pid
      pid
    end

    private

    def command(listen, rackup, _configuration)
      [LAUNCHER, rackup, listen.split(":").last]
    end
  end
end
