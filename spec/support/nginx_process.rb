# frozen_string_literal: true

require "tmpdir"
require "fileutils"

# nginx as an upstream: it serves the files of a directory, and answers at a few fixed locations.
# It speaks HTTP/1.1 at `url`, HTTP/2 without TLS at `http2_url`, and at `tls_url` what is chosen.
class NginxProcess
  attr_reader :port, :directory

  # @param authority [TestAuthority, nil] that vouches for it; without one it speaks no TLS
  # @param more [String] further lines of its server
  def initialize(authority: nil, more: "")
    @directory = Dir.mktmpdir("streaming-proxy-nginx")
    FileUtils.mkdir_p(File.join(directory, "files"))
    @reserved = Array.new(3) { ReservedPort.new }
    @port, @http2_port, @tls_port = @reserved.map(&:number)
    @authority = authority
    @more = more
    certify if authority
    File.write(File.join(directory, "nginx.conf"), configuration)
    @pid = Process.spawn("nginx", "-p", directory, "-c", "nginx.conf", %i[out err] => log)
    await_listening
  end

  # Writes a file that nginx serves at /NAME.
  def serve(name, bytes)
    File.binwrite(File.join(directory, "files", name), bytes)
  end

  def url(path = "/")
    "http://127.0.0.1:#{port}#{path}"
  end

  def http2_url(path = "/")
    "http://127.0.0.1:#{@http2_port}#{path}"
  end

  def tls_url(path = "/")
    "https://127.0.0.1:#{@tls_port}#{path}"
  end

  def stop
    Process.kill("TERM", @pid)
    Process.wait(@pid)
    @reserved.each(&:close)
    FileUtils.remove_entry(directory)
  end

  private

  def log
    File.join(directory, "log")
  end

  def certify
    context = @authority.context
    File.write(File.join(directory, "certificate.pem"), context.cert.to_pem)
    File.write(File.join(directory, "key.pem"), context.key.to_pem)
  end

  def tls
    return "" unless @authority

    "listen 127.0.0.1:#{@tls_port} ssl http2; " \
      "ssl_certificate certificate.pem; ssl_certificate_key key.pem;"
  end

  def await_listening
    Deadline.new(10).poll { listening? } || raise("nginx does not listen: #{File.read(log)}")
  end

  def listening?
    TCPSocket.new("127.0.0.1", port).close || true
  rescue Errno::ECONNREFUSED
    false
  end

  def configuration
    <<~TEXT
      daemon off; master_process off; pid nginx.pid; error_log stderr warn;
      events { worker_connections 256; }
      http {
        access_log off;
        client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
        uwsgi_temp_path uwsgi; scgi_temp_path scgi;
        server {
          listen 127.0.0.1:#{port};
          listen 127.0.0.1:#{@http2_port} http2;
          #{tls}
          client_max_body_size 1m;
          root files;
          location = /limited { limit_rate 200k; alias files/limited; }
          location = /protocol { return 200 "$server_protocol $connection $host"; }
          location = /teapot { return 418 "short and stout"; }
          location = /empty { return 204; }
          #{@more}
        }
      }
    TEXT
  end
end
