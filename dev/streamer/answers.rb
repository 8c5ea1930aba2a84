# frozen_string_literal: true

require "openssl"
require "yaml"
require_relative "echo"
require_relative "failures"

module Streamer
  # The routes that answer about the request, or as the request asks.
  module Answers
    ROUTES = {
      %r{\A/?\z} => :index,
      %r{\A/echo\z} => :echo,
      %r{\A/upload\z} => :upload,
      %r{\A/status/(\d{3})\z} => :status,
      %r{\A/flaky/(\d{1,6})\z} => :flaky,
      %r{\A/headers\z} => :headers,
      %r{\A/env\z} => :environment,
      %r{\A/cookies\z} => :cookies,
      %r{\A/redirect\z} => :redirect
    }.freeze

    private

    def index(_request)
      text(200, @description)
    end

    def echo(request)
      headers = { "content-type" => request.content_type || "application/octet-stream" }
      headers["content-length"] = request.content_length if request.content_length
      [200, headers, Echo.new(request.body)]
    end

    def upload(request)
      digest = OpenSSL::Digest.new("SHA256")
      size = 0
      Echo.new(request.body).each { |chunk| digest << chunk and size += chunk.bytesize }
      text(200, "size: #{size}\nsha256: #{digest.hexdigest}\n")
    end

    def status(_request, code)
      code = code.to_i
      return text(400, "a status from 200 to 599, please\n") unless (200..599).cover?(code)
      return [code, {}, []] if Framing::WITHOUT_BODY.include?(code)

      text(code, "#{code} #{Rack::Utils::HTTP_STATUS_CODES[code]}".strip << "\n")
    end

    def flaky(request, count)
      attempt = @failures.count(request.fullpath)
      failed = attempt <= count.to_i
      text(failed ? 503 : 200, "attempt #{attempt} in process #{Process.pid}: " \
                               "#{failed ? "failed as asked" : "fine"}\n")
    end

    def headers(request)
      fields = request.env.select { |key, _| field?(key) }
      lines = fields.map do |key, value|
        "#{key.delete_prefix("HTTP_").split("_").map(&:capitalize).join("-")}: #{value}\n"
      end
      text(200, lines.join)
    end

    def field?(key)
      # HTTP_VERSION is the protocol's version: the server adds it, no client sends it.
      return key != "HTTP_VERSION" if key.start_with?("HTTP_")

      %w[CONTENT_TYPE CONTENT_LENGTH].include?(key)
    end

    def environment(request)
      env = request.env.dup
      if request.media_type == "application/x-www-form-urlencoded"
        env["rack.request.form_vars"] = request.body&.read.to_s
      end
      text(200, YAML.dump(env.transform_values { |value| plain(value) }),
           "content-type" => "application/x-yaml")
    end

    def plain(value)
      case value
      when String then value.dup.force_encoding(Encoding::UTF_8).scrub
      when Integer, true, false, nil then value
      else value.class.name
      end
    end

    def cookies(request)
      several = ["first=1; path=/", "second=2; path=/; HttpOnly", "third=a%20b; path=/cookies"]
      # A field that occurs more than once: lines in Rack 2, an Array from Rack 3 on.
      several = several.join("\n") if Rack.release < "3"
      text(200, "cookie: #{request.env["HTTP_COOKIE"]}\n", "set-cookie" => several)
    end

    def redirect(request)
      to = request.GET.fetch("to", "/").to_s
      return text(400, "to= takes printable characters\n") unless to.match?(/\A[[:graph:]]+\z/)

      text(302, "see #{to}\n", "location" => to)
    end
  end
end
