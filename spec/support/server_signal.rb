# frozen_string_literal: true

# A signal that a server has, as its profile in spec/servers declares it: what it does to the server
# and to the responses that are under way.
class ServerSignal
  EFFECTS = %i[restart continue stop drain].freeze

  attr_reader :effect, :options

  # @param sending [String, #call] its name, such as "HUP", or what is done instead with the
  #   ServerProcess
  # @param effect [Symbol] whether the server restarts, goes on, ends, or ends when the connections
  #   have that clients keep (:drain)
  # @param seen [Regexp, nil] what the server then writes
  # @param loses [Symbol, nil] :responses if those under way may be cut; :unanswered if requests may
  #   go without a response that has not begun
  # @param options [Hash] of the server's process
  def initialize(sending, effect, seen: nil, loses: nil, **options)
    raise ArgumentError, "the effect #{effect.inspect}" unless EFFECTS.include?(effect)

    @effect = effect
    @seen = seen
    @loses = loses
    @options = options
    @sending = sending
  end

  def cuts?
    @loses == :responses
  end

  def drops?
    @loses == :unanswered
  end

  # Sends it.
  def send_to(server)
    @sending.respond_to?(:call) ? @sending.call(server) : server.signal(@sending)
  end

  # Awaits what the server writes.
  def await(server)
    server.output.wait_for(@seen, within: 30) if @seen
  end
end
