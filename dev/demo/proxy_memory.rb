# frozen_string_literal: true

require_relative "memory"
require_relative "show"

module Demo
  # The verdict on the memory that the download took in the proxy.
  class ProxyMemory < Show
    TITLE = "Proxy memory"

    # @return [Memory, nil] of the download that went before
    attr_writer :memory

    private

    def show
      raise Wrong, "not seen: there was no download" unless @memory

      text = "#{mebibytes(@memory.before)} before, #{mebibytes(@memory.now)} after, " \
             "#{mebibytes(@memory.peak)} at most"
      return text if @memory.growth <= Memory::LIMIT

      raise Wrong, "#{text}: grew by more than #{mebibytes(Memory::LIMIT)}"
    end
  end
end
