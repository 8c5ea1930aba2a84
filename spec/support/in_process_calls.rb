# frozen_string_literal: true

require "logger"
require "stringio"

# Calls a proxy in the spec process, as a server would: call, each, close.
module InProcessCalls
  # A Rack response read whole.
  Answer = Struct.new(:status, :headers, :body) do
    def [](name)
      headers.find { |key, _| key.casecmp?(name) }&.last
    end

    # @return [Array<String>] the values of a header's lines
    def lines(name)
      InProcessCalls.header_lines(headers).fetch(name.downcase)
    end
  end

  # A logger whose text specs can read.
  class RecordingLogger < Logger
    def initialize
      @text = StringIO.new
      super(@text, formatter: proc { |severity, _, _, message| "#{severity} #{message}\n" })
    end

    def lines
      @text.string.lines(chomp: true)
    end
  end

  module_function

  # A proxy around InnerApp with a quiet logger; wrapped in Rack::Lint on both sides.
  # @param base [Class] Proxy, or a subclass
  def linted(base: Rack::StreamingProxy::Proxy, app: InnerApp, **settings, &block)
    Rack::Lint.new(bare(base:, app: Rack::Lint.new(app), **settings, &block))
  end

  def bare(base: Rack::StreamingProxy::Proxy, app: InnerApp, **settings, &block)
    base.new(app, **{ logger: Logger.new(File::NULL) }.merge(settings), &block)
  end

  # @param options [Hash] as for Rack::MockRequest.env_for: method:, input:, and env keys
  # @return [Answer]
  def fetch(app, path = "/", options = {})
    status, headers, body = app.call(env_for(path, options))
    Answer.new(status, headers, read(body))
  end

  def env_for(path = "/", options = {})
    Rack::MockRequest.env_for(path, options)
  end

  # Rack 2 has names in Title-Case and joins several values with line feeds, Rack 3 has an Array.
  #
  # @param headers [Hash] in the shape of the running Rack
  # @return [Hash{String => Array<String>}] the values of each name in lower case
  def header_lines(headers)
    headers.to_h do |name, value|
      [name.downcase, Array(value).flat_map { |lines| lines.empty? ? lines : lines.split("\n") }]
    end
  end

  # Iterates and closes a body, whatever happens.
  # @yieldparam chunk [String]
  def read(body)
    text = String.new(encoding: Encoding::BINARY)
    body.each do |chunk|
      text << chunk
      yield chunk if block_given?
    end
    text
  ensure
    body.close if body.respond_to?(:close)
  end

  def elapsed
    started = Deadline.now
    yield
    Deadline.now - started
  end

  # Whether one try of a few takes less: a busy machine makes some slow, a wait that is not to be
  # makes all of them slow.
  def takes_less_than?(seconds, tries: 5, &block)
    tries.times.any? { elapsed(&block) < seconds }
  end
end
