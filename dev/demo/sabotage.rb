# frozen_string_literal: true

require_relative "sabotage/buffer"
require_relative "sabotage/corrupt"
require_relative "sabotage/cut"
require_relative "sabotage/grow"

module Demo
  # The faults that DEMO_SABOTAGE puts into the demo's servers, so that the suite can prove that the
  # demo sees each of them.
  module Sabotage
    Fault = Struct.new(:side, :middleware, :description)

    FAULTS = {
      "buffer" => Fault.new(:proxy, Buffer, "the proxy collects each response before it sends it"),
      "cut" => Fault.new(:upstream, Cut, "the upstream ends each response early"),
      "corrupt" => Fault.new(:proxy, Corrupt, "the proxy changes a byte of each binary response"),
      "grow" => Fault.new(:proxy, Grow, "the proxy keeps in memory what it streams")
    }.freeze

    # @return [Fault, nil] what DEMO_SABOTAGE asks for
    # @raise [ArgumentError] when it names no fault
    def self.chosen
      name = ENV.fetch("DEMO_SABOTAGE", "")
      return if name.empty?

      FAULTS.fetch(name) do
        raise ArgumentError, "one of #{FAULTS.keys.join(", ")}, not #{name.inspect}"
      end
    end

    # @param builder [Rack::Builder] of the server that calls this
    # @param side [Symbol] which server it is, :upstream or :proxy
    def self.use_in(builder, side)
      fault = chosen
      builder.use(fault.middleware) if fault&.side == side
    end
  end
end
