# frozen_string_literal: true

# What upstreams send, right and wrong, and what a client behind the proxy must get of it. The last
# word of a row says whether the upstream's connection serves the next request.
module ResponseMatrix
  # @!attribute sent [String] the upstream's bytes
  # @!attribute closes [Boolean] whether the upstream then ends the connection
  # @!attribute verb [String] of the request
  # @!attribute status [Integer]
  # @!attribute body [String] of the client's response, nil for the proxy's own
  # @!attribute announced [Integer, nil] its Content-Length
  # @!attribute cut [Boolean] whether it must be seen to be incomplete
  # @!attribute reused [Boolean]
  # @!attribute id [String, nil]
  Row = Struct.new(:what, :sent, :closes, :verb, :status, :body, :announced, :cut, :reused, :id,
                   keyword_init: true)

  @rows = []

  class << self
    attr_reader :rows

    # A response that is passed on.
    def passes(what, sent, body, **more)
      row(what, sent, status: 200, body:, reused: true, **more)
    end

    # One that is answered with 502; its connection is closed.
    def refuses(what, sent, **more)
      row(what, sent, status: 502, reused: false, **more)
    end

    # One that ends before it is whole, after `body`.
    def cuts(what, sent, body, **more)
      row(what, sent, status: 200, body:, cut: true, reused: false, **more)
    end

    def response(*lines, body: "", status: "200 OK", version: "1.1")
      "HTTP/#{version} #{status}\r\n#{lines.map { |line| "#{line}\r\n" }.join}\r\n#{body}"
    end

    # Runs the block, which adds rows.
    def fill(&rows)
      instance_exec(&rows)
    end

    private

    def row(what, sent, **more)
      @rows << Row.new(what:, sent:, closes: false, verb: "GET", cut: false, **more)
    end
  end
end
