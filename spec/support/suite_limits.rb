# frozen_string_literal: true

require "timeout"

# No example may run for ever, and the suite may leave nothing behind.
module SuiteLimits
  class TooLong < RuntimeError; end

  SECONDS = 60

  module_function

  def bounded(example)
    seconds = example.metadata.fetch(:time_limit, SECONDS)
    Timeout.timeout(seconds, TooLong, "the example ran longer than its limit of #{seconds} s") do
      example.run
    end
  end

  # @param before [Array<Thread>] what ran before the suite
  # @raise [RuntimeError] naming what specs have left
  def check_nothing_left(before)
    Deadline.new(10).poll { left_children.empty? }
    left = { "child processes" => left_children,
             "threads" => (Thread.list - before).select { |thread| thread.alive? && ours?(thread) },
             "directories" => Dir[File.join(Dir.tmpdir, "*-#{Process.pid}-*/")],
             "listening sockets" => ObjectSpace.each_object(TCPServer).reject(&:closed?) }
    RubyProcess.stop_all
    left.reject! { |_, things| things.empty? }
    raise "the specs left #{left}" unless left.empty?
  end

  def left_children
    Dir["/proc/self/task/*/children"].flat_map do |path|
      File.read(path).split
    rescue SystemCallError
      [] # The thread has ended meanwhile.
    end
  end

  # Threads that Ruby itself or the gem keep for the whole process are not the specs'.
  def ours?(thread)
    thread.inspect.include?(__dir__.delete_suffix("/support"))
  end
end
