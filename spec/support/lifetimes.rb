# frozen_string_literal: true

# Starts upstreams and servers for an example and stops them after it, also when it fails. Those
# that are started in `once` live until the end of their group.
module Lifetimes
  # The part that example groups get.
  module Groups
    def once(&setup)
      before(:context) do
        @kept = [] # not the array of an outer group, whose things must outlive this one
        instance_exec(&setup)
      end
      after(:context) { stop_kept }
    end
  end

  def start_upstream(**options, &script)
    keep RawUpstream.new(**options, &script)
  end

  # An upstream that answers every request with the block's answer, keeping connections alive.
  def serving(**options, &answer)
    keep RawUpstream.serving(**options, &answer)
  end

  def start_puma(rackup, **options)
    start_server(:puma, rackup, **options)
  end

  def start_unicorn(rackup, **options)
    start_server(:unicorn, rackup, **options)
  end

  # @param kind [Symbol] a server of spec/support/servers
  def start_server(kind, rackup, **options)
    keep ServerProcess.start(kind, rackup, **options)
  end

  def connect(address)
    closing RawClient.new(address.respond_to?(:address) ? address.address : address)
  end

  # @return [Integer] a loopback port where nobody listens
  def closed_port
    closing(ReservedPort.new).number
  end

  # Keeps a thing that has `stop` until the end of the example or group.
  def keep(thing)
    kept << [thing, :stop]
    thing
  end

  def closing(thing)
    kept << [thing, :close]
    thing
  end

  # Call before each example, so that it does not share the array of its group.
  def keep_for_the_example
    @kept = []
  end

  # A thread that is ended with the example.
  def in_thread(&block)
    thread = Thread.new(&block)
    thread.report_on_exception = false
    kept << [thread, :kill]
    thread
  end

  def stop_kept
    kept.reverse_each { |thing, ending| thing.public_send(ending) }
    kept.each { |thing, _| await_end(thing) if thing.is_a?(Thread) }
    kept.clear
  end

  private

  def await_end(thread)
    thread.join(2)
  rescue StandardError
    nil # what it ended with was the example's to look at
  end

  def kept
    @kept ||= []
  end
end
