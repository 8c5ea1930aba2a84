# frozen_string_literal: true

module Demo
  # The resident memory of a process, read again and again while something passes through it.
  class Memory
    # What a body that passes may add, Ruby's own garbage included.
    LIMIT = 96 << 20

    # @return [Integer] bytes when this was made
    attr_reader :before

    # @return [Integer] the most bytes that were seen
    attr_reader :peak

    # @param pid [Integer]
    def initialize(pid)
      @pid = pid
      @before = @peak = now
    end

    # @return [Integer] bytes
    def now
      status = "/proc/#{@pid}/status"
      kilobytes = if File.exist?(status)
                    File.read(status)[/^VmRSS:\s+(\d+)/, 1]
                  else
                    IO.popen(["ps", "-o", "rss=", "-p", @pid.to_s], &:read)
                  end
      (kilobytes.to_i << 10).tap { |bytes| @peak = [@peak || 0, bytes].max }
    end

    # @return [Integer] bytes
    def growth
      peak - before
    end
  end
end
