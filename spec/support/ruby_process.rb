# frozen_string_literal: true

require "rbconfig"
require "tmpdir"
require "fileutils"

# A Ruby child process with the checkout's lib in its load path, its own process group and a clean
# environment. `stop` and the end of the suite leave nothing of it behind.
class RubyProcess
  ROOT = File.expand_path("../..", __dir__)
  LIB = File.join(ROOT, "lib")
  CLEAN = { "RUBYOPT" => nil, "RUBYLIB" => nil, "BUNDLE_GEMFILE" => nil, "BUNDLE_BIN_PATH" => nil,
            "RACK_ENV" => nil, "RAILS_ENV" => nil, "LANG" => "C.UTF-8" }.freeze

  @running = []

  class << self
    attr_reader :running

    def stop_all
      running.dup.each(&:stop)
    end
  end

  attr_reader :pid, :output

  # @param descriptors [Integer, nil] that it may have open
  def initialize(*arguments, env: {}, directory: ROOT, descriptors: nil)
    reader, writer = IO.pipe
    @pid = Process.spawn(CLEAN.merge("RUBYLIB" => LIB).merge(env), RbConfig.ruby, *arguments,
                         chdir: directory, pgroup: true, in: File::NULL, %i[out err] => writer,
                         **{ rlimit_nofile: descriptors }.compact)
    writer.close
    @waiter = Process.detach(@pid)
    @output = ChildOutput.new(reader)
    RubyProcess.running << self
  end

  def alive?
    @waiter.alive?
  end

  # @return [Process::Status, nil] nil when it has not ended in time
  def wait(within: 10)
    @waiter.join(within)&.value
  end

  def signal(name, pid = @pid)
    Process.kill(name, pid)
  rescue Errno::ESRCH
    nil
  end

  # Asks politely, then insists; also with whatever the process has forked.
  def stop(signal: "TERM", within: 5)
    return unless RubyProcess.running.delete(self)

    signal(signal)
    @waiter.join(within) || signal("KILL")
    signal("KILL", -@pid)
    @waiter.join(5)
    output.stop
  end

  def children
    Dir["/proc/#{pid}/task/*/children"].flat_map { |path| File.read(path).split.map(&:to_i) }
  rescue SystemCallError
    []
  end

  def to_s
    "process #{pid}"
  end
end
