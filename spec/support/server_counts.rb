# frozen_string_literal: true

# What a server process has at the moment, and when it has nothing of exchanges any more.
module ServerCounts
  def soon(&block)
    expect(Deadline.new(Deadline::SECONDS).poll(every: 0.05, &block)).to be_truthy
  end

  def settle(server)
    soon { server.stats.values_at(:exchanges, :streams, :connections).sum.zero? }
  end

  # @return [Hash] what may not grow
  def counts(server)
    server.stats.slice(:exchanges, :streams, :connections, :tasks)
          .merge(fds: server.fds, threads: server.threads)
  end
end
