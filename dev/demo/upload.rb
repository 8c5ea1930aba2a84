# frozen_string_literal: true

require "openssl"
require_relative "show"

module Demo
  # A body of random bytes that goes up and comes back.
  class Upload < Show
    TITLE = "Upload echoed back"
    SIZE = 16 << 20
    STEPS = 4

    private

    def show
      body = Random.bytes([SIZE, @stage.bytes].min)
      heading("POST /echo", "#{mebibytes(body.bytesize)} of random bytes up and back")
      received = Exchange.open(proxy, "POST /echo", body) { |exchange| receive(exchange, body) }
      check_digest(OpenSSL::Digest.hexdigest("SHA256", body), received.hexdigest)
      "#{mebibytes(body.bytesize)} came back with the same SHA-256"
    end

    def receive(exchange, body)
      digest = OpenSSL::Digest.new("SHA256")
      received = 0
      exchange.each_piece do |piece|
        digest << piece
        before = received
        received += piece.bytesize
        step = body.bytesize / STEPS
        at(exchange, "#{mebibytes(received)} are back") if received / step > before / step
      end
      raise Wrong, "#{received} of #{body.bytesize} bytes came back" if received != body.bytesize

      digest
    end
  end
end
