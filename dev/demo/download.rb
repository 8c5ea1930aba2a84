# frozen_string_literal: true

require "openssl"
require_relative "../streamer/pattern"
require_relative "memory"
require_relative "show"

module Demo
  # A long body, by default of 1 GiB, whose digest is computed here from the definition of its
  # content; the proxy's memory is watched while it passes.
  class Download < Show
    TITLE = "Download"
    STEPS = 8

    # @param stage [Stage]
    # @param proxy_memory [ProxyMemory] gets the measurements
    def initialize(stage, proxy_memory)
      super(stage)
      @proxy_memory = proxy_memory
    end

    private

    def show
      size = @stage.bytes
      heading("GET /bytes/#{size}", "#{mebibytes(size)}; its SHA-256 is computed here first")
      expected = expected_digest(size)
      @memory = @proxy_memory.memory = Memory.new(proxy.pid)
      say("            proxy memory before  #{mebibytes(@memory.before)}")
      received, rate = Exchange.open(proxy, "GET /bytes/#{size}") { |it| receive(it, size) }
      say("            proxy memory after   #{mebibytes(@memory.now)}")
      check_digest(expected, received.hexdigest)
      "#{mebibytes(size)} at #{rate}/s with the computed SHA-256"
    end

    def expected_digest(size)
      digest = OpenSSL::Digest.new("SHA256")
      Streamer::Pattern.new(size).each { |block| digest << block }
      digest.hexdigest
    end

    def receive(exchange, size)
      digest = OpenSSL::Digest.new("SHA256")
      received = 0
      exchange.each_piece do |piece|
        digest << piece
        before = received
        received += piece.bytesize
        progress(exchange, received, before, size)
      end
      raise Wrong, "#{received} of #{size} bytes came" if received != size

      [digest, rate(exchange, received)]
    end

    def progress(exchange, received, before, size)
      @memory.now if received >> 22 > before >> 22
      return unless received * STEPS / size > before * STEPS / size

      at(exchange, "#{mebibytes(received).rjust(8)}  #{rate(exchange, received)}/s, " \
                   "proxy memory #{mebibytes(@memory.now)}")
    end

    def rate(exchange, received)
      mebibytes(received / (exchange.arrived - exchange.began))
    end
  end
end
