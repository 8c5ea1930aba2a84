# frozen_string_literal: true

# What an application server can do with the proxy in it, as its file in spec/servers declares it.
# The behaviours of spec/servers/behaviour show each feature, or its limit where there is one;
# `rake servers` writes both down in README.md and docs/servers.md.
class ServerProfile
  # The features in the order of the README's table. A profile says `true` of each, or its limit: a
  # sentence for docs/servers.md.
  FEATURES = {
    live: "responses stream live",
    head: "a head goes out before the first byte of its body",
    truncation: "a response that was cut short is seen to be so",
    http10: "clients of HTTP/1.0",
    chunks: "a body of unknown length goes out in chunks",
    live_uploads: "uploads stream as the client sends them",
    chunked_uploads: "uploads in chunks",
    several_values: "every value of a header that comes several times",
    client_gone: "a client that leaves is noticed while the upstream is silent",
    hijack: "streams hold no thread or worker (`delivery: :hijack`)",
    tunnel: "upgrades, such as WebSockets",
    shutdown: "streams are finished when the server is told to end",
    restart: "streams are finished when the server is told to restart",
    deflater: "`Rack::Deflater` outside the proxy",
    rack_timeout: "`Rack::Timeout` outside the proxy"
  }.freeze

  # Those that may not be limited: what the proxy is for.
  PROMISED = %i[live head truncation].freeze

  # What holds of a response that the engine writes, on all servers.
  UNCHANGED = "What is written to the client's socket passes no middleware."

  # What does not hold, as a sentence, and of what: of `:all` versions, of some `:versions` (`here`
  # says whether that of this system is one), or of some `:situations`, while it holds in others.
  # `except` names a variant of the behaviour that does hold.
  Limit = Struct.new(:text, :of, :here, :except)

  @all = {}

  class << self
    # @return [Hash{Symbol => ServerProfile}] those declared so far
    attr_reader :all

    # @param kind [Symbol] a server of spec/support/servers
    # @param name [String] for people
    # @param signals [Hash{String => ServerSignal}] those that it has, by what people call them
    # @param features [Hash{Symbol => true, String, Limit}] of every feature
    def declare(kind, name, signals:, **features)
      all[kind] = new(kind, name, signals, features)
    end

    # A limit of some versions, or one with an exception.
    # @param here [Boolean] whether that on this system is one of them
    # @param except [String, nil] the variant that holds all the same
    def limit(text, here: nil, except: nil)
      Limit.new(text, here.nil? ? :all : :versions, here.nil? || here, except)
    end

    # A limit of some situations: the examples of the feature show that it holds, those of the
    # server's own file where it does not.
    def exception(text)
      Limit.new(text, :situations, false)
    end
  end

  attr_reader :kind, :name, :signals
  attr_accessor :delivery, :limits
  protected :delivery=, :limits=

  def initialize(kind, name, signals, features)
    wrong = (FEATURES.keys - features.keys) | (features.keys - FEATURES.keys)
    wrong |= PROMISED.reject { |feature| features[feature] == true }
    raise ArgumentError, "the profile of #{name}: #{wrong.inspect}" unless wrong.empty?

    @kind = kind
    @name = name
    @signals = signals
    @limits = features.reject { |_, value| value == true }.transform_values { |value| limit(value) }
  end

  # @param variant [String, nil] of the behaviour that shows it
  # @return [Boolean] whether it holds on this system
  def can?(feature, variant = nil)
    FEATURES.key?(feature) or raise KeyError, "there is no feature #{feature.inspect}"
    limit = limits[feature]
    !limit&.here || (!variant.nil? && limit.except == variant)
  end

  # @return [String] what examples of the feature show on this system when they pass
  def state(feature)
    return "limited" unless can?(feature)

    limits[feature]&.of == :situations ? "partly" : "yes"
  end

  # @return [Array<String>] what they may show on others
  def possible_states(feature)
    limits[feature]&.of == :versions ? %w[yes limited] : [state(feature)]
  end

  # @param delivery [Symbol] a value of the setting
  # @return [ServerProfile] the same server, on which responses are delivered so
  def delivering(delivery)
    copy = dup
    copy.delivery = delivery
    copy.limits = limits.merge(deflater: limit(UNCHANGED)) if can?(:hijack)
    copy
  end

  # @return [String] a config.ru with a proxy to any port
  def rackup(**more)
    RackupText.proxy_to_ports(delivery ? "delivery: #{delivery.inspect}" : "", **more)
  end

  # @return [Hash{String => ServerSignal}] the ways to restart it that let streams come to their end
  def restarts
    signals.select { |_, signal| signal.effect == :restart && !signal.cuts? }
  end

  def server
    ServerProcess.of(kind)
  end

  def installed?
    !server.version.nil?
  end

  private

  def limit(value)
    value.is_a?(Limit) ? value : Limit.new(value, :all, true)
  end
end
