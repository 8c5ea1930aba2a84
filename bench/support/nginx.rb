# frozen_string_literal: true

require "fileutils"
require "socket"
require "tmpdir"

module Bench
  # nginx that proxies without buffering, one worker process.
  class Nginx
    # @return [Integer]
    attr_reader :port, :pid

    # @param upstream [Integer] its port
    def initialize(upstream)
      @directory = Dir.mktmpdir("streaming-proxy-bench")
      @port = TCPServer.open("127.0.0.1", 0) { |server| server.addr[1] }
      File.write(File.join(@directory, "nginx.conf"), configuration(upstream))
      @pid = Process.spawn("nginx", "-p", @directory, "-c", "nginx.conf", err: File::NULL)
      await_listening
    end

    # @return [Float] seconds of CPU that it has used
    def cpu = Server.cpu(@pid)

    def stop
      Process.kill("TERM", @pid)
      Process.wait(@pid)
      FileUtils.remove_entry(@directory)
    end

    private

    def await_listening
      TCPSocket.new("127.0.0.1", @port).close
    rescue Errno::ECONNREFUSED
      sleep 0.05
      retry if Process.wait(@pid, Process::WNOHANG).nil?
      raise "nginx did not start"
    end

    def configuration(upstream)
      <<~TEXT
        daemon off; master_process off; pid nginx.pid; error_log stderr crit;
        events { worker_connections 1024; }
        http {
          access_log off;
          client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
          uwsgi_temp_path uwsgi; scgi_temp_path scgi;
          upstream bench { server 127.0.0.1:#{upstream}; keepalive 8; }
          server {
            listen 127.0.0.1:#{@port};
            location / {
              proxy_pass http://bench; proxy_buffering off;
              proxy_http_version 1.1; proxy_set_header Connection "";
            }
          }
        }
      TEXT
    end
  end
end
