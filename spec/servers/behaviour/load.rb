# frozen_string_literal: true

# The server's own signals while clients go on with requests, streams, downloads, uploads and leave.
RSpec.shared_examples "load" do |profile|
  def start_load
    @answers = LoadAnswers.new
    @upstream = start_upstream { |connection| @answers.serve(connection) }
    @load = keep ServerLoad.new(@server, @upstream.port, @answers)
    @load.await_an_exchange_each
  end

  # What comes of a response that has begun: that it comes whole, or where the server cuts, whole or
  # visibly cut; and no request goes up twice, for the upstream gives no reason to.
  def expect_accounts_to_be_clear(signal)
    expect(@load.exchanges.select { |one| one.came == :changed }).to eq([])
    expect(@answers.came.select { |_, times| times > 1 }).to eq({})
    expect(@upstream.failures).to eq([])
    expect(losses(signal)).to signal.cuts? ? include(["events", :cut]) : eq([])
  end

  # Those without an answer, of which the upstream has heard.
  def losses(signal)
    lost = @load.exchanges.reject { |one| one.served? || !@answers.came.key?(one.number) }
    lost.reject! { |one| one.came == :nothing } if signal.drops?
    lost.reject { |one| refused_as_kept?(one) }.map { |one| [one.kind, one.came] }
  end

  # Puma since 6, when it ends, may close a kept connection, or answer 500, though it has just
  # handed on a request from there.
  def refused_as_kept?(exchange)
    exchange.kind == LoadClient::KEPT && %i[nothing refused].include?(exchange.came)
  end

  def expect_nothing_to_be_left(processes)
    left = -> { (processes | @server.members).select { |pid| ProcessFacts.alive?(pid) } }
    Deadline.new(20).poll { left.call.empty? }
    expect(left.call).to eq([])
    expect(Deadline.new(20).poll { @upstream.connections.all?(&:closed?) }).to be(true)
  end

  def expect_restart(restarted, worker)
    expect(Deadline.new(40).poll(every: 0.1, &restarted)).to be(true)
    expect_service
    gone = worker == @server.pid || Deadline.new(20).poll { !ProcessFacts.alive?(worker) }
    expect(gone).to be(true)
    @server.leaders.each { |pid| @server.signal(@server.stop_signal, pid) }
  end

  def expect_continue(*)
    expect_service
    @server.signal(@server.stop_signal)
  end

  def expect_stop(*)
    expect(@server.wait(within: 40)).not_to be_nil
    @load.stop
  end

  def expect_drain(*)
    @load.stop
    expect(@server.wait(within: 40)).not_to be_nil
  end

  def expect_service
    @load.await_an_exchange_each
    @load.stop
    expect(Deadline.new(20).poll { @server.stats[:exchanges].zero? }).to be(true)
  end

  features = { restart: :restart, stop: :shutdown, drain: :shutdown }

  profile.signals.each do |name, signal|
    it "is accounted for, exchange by exchange: #{name}",
       feature: features[signal.effect], time_limit: 180 do
      @server = start_server(profile.kind, RackupText.proxy_to_ports, **signal.options)
      restarted = @server.restart_since_now
      worker = @server.serving_pid
      processes = @server.members
      start_load
      @load.hold_streams
      signal.send_to(@server)
      @load.release unless signal.cuts?
      signal.await(@server)
      public_send("expect_#{signal.effect}", restarted, worker)
      expect_accounts_to_be_clear(signal)
      expect_nothing_to_be_left(processes)
    end
  end
end
