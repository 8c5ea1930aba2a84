# frozen_string_literal: true

# Clients of several kinds that go on asking a server, each in a thread, while it restarts or ends.
# Each exchange is kept with what came of it.
class ServerLoad
  CLIENTS = %w[short short events events bulk bulk upload upload endless].freeze
  SERVED = %i[whole left].freeze

  Exchange = Struct.new(:client, :kind, :number, :came) do
    def served?
      SERVED.include?(came)
    end
  end

  # @param answers [LoadAnswers] those of the upstream at the port
  def initialize(server, port, answers)
    @exchanges = []
    @number = 0
    @mutex = Mutex.new
    @ended = ConditionVariable.new
    @threads = CLIENTS.each_with_index.map do |kind, index|
      client = LoadClient.new(kind, server, port, answers, method(:pause))
      Thread.new { go_on(client, index) }.tap { |thread| thread.report_on_exception = false }
    end
  end

  def exchanges
    @mutex.synchronize { @exchanges.dup }
  end

  # Returns when each client has been served an exchange that began after now.
  # @raise [RawSocket::Expired] naming the clients that were not
  def await_an_exchange_each(within: 40)
    deadline = Deadline.in(within)
    @mutex.synchronize do
      began = @number
      until (waiting = CLIENTS.each_index.to_a - served_since(began)).empty?
        raise RawSocket::Expired, "no exchange of the clients #{waiting}" if deadline.passed?

        @ended.wait(@mutex, [deadline.remaining, 1].min)
        raise_failure
      end
    end
  end

  # Returns when a client's stream stands still, and holds that and all others until `release`.
  def hold_streams(within: 40)
    deadline = Deadline.in(within)
    @mutex.synchronize do
      @held = true
      until @standing
        raise RawSocket::Expired, "no stream has begun" if deadline.passed?

        @ended.wait(@mutex, deadline.remaining)
      end
    end
  end

  def release
    @mutex.synchronize do
      @held = @standing = false
      @ended.broadcast
    end
  end

  # Lets each client finish what it has begun. Raises what has ended one before.
  def stop
    return if @stopping

    @stopping = true
    release
    @threads.each { |thread| thread.join(LoadClient::SECONDS + 5) or raise "a client goes on" }
  ensure
    @threads.each(&:kill)
  end

  private

  def served_since(number)
    @exchanges.select { |one| one.number > number && one.served? }.map(&:client).uniq
  end

  def raise_failure
    @threads.reject(&:alive?).each(&:join)
  end

  def go_on(client, index)
    until @stopping
      number = @mutex.synchronize { @number += 1 }
      record(Exchange.new(index, client.kind, number, client.ask(number)))
    end
  ensure
    client.close
  end

  # What a client does in the middle of a stream.
  def pause
    @mutex.synchronize do
      while @held
        @standing = true
        @ended.broadcast
        @ended.wait(@mutex)
      end
    end
  end

  def record(exchange)
    @mutex.synchronize do
      @exchanges << exchange
      @ended.broadcast
      # While nobody listens there is nothing to wait for.
      @ended.wait(@mutex, 0.05) if exchange.came == :nothing
    end
  end
end
