# frozen_string_literal: true

module Rack
  module StreamingProxy
    # What the block gets: a Rack::Request that also answers to `query`, which the README of 2.x
    # uses.
    class ClientRequest < Rack::Request
      # @return [String] the query string, without "?"; empty if there is none
      def query = query_string
    end
  end
end
