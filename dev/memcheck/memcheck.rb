# frozen_string_literal: true

# Runs exchanges.rb under valgrind and says whether the extension reads or writes where it may not,
# or loses memory. Arguments name kinds of exchanges, or else all are made. See docs/memcheck.md.

require "rbconfig"
require "tmpdir"

%w[deadline raw_socket raw_head chunked_body event_queue upstream_connection canned_response
   raw_upstream border_upstream].each { |name| require_relative "../../spec/support/#{name}" }

# One run.
class Memcheck
  ROOT = File.expand_path("../..", __dir__)
  # What a record of valgrind's begins with, leaks aside.
  FAULT = /^==\d+== (Invalid|Conditional|Use of|Mismatched|Source and|Syscall|Process termin).*/

  def initialize(kinds)
    @kinds = kinds
  end

  # @return [Boolean] whether all is well
  def run
    Dir.mktmpdir("memcheck") do |logs|
      output = IO.popen(command(logs), err: %i[child out], chdir: ROOT, &:read)
      puts output
      parent, children = reports(logs)
      faults = faults_of(parent, children)
      puts(faults.empty? ? "memcheck: clean" : [parent, *children].join("\n"))
      faults.empty? && $CHILD_STATUS.success? && output.lines.all?(/ true$/)
    end
  rescue Errno::ENOENT
    abort "memcheck: valgrind is not installed"
  end

  private

  def command(logs)
    upstream = BorderUpstream.start
    at_exit { upstream.stop }
    [{ "RUBYLIB" => File.join(ROOT, "lib") }, "valgrind", "--log-file=#{logs}/%p",
     "--suppressions=#{__dir__}/ruby.supp", "--num-callers=40", "--leak-check=full",
     "--show-leak-kinds=definite", "--errors-for-leak-kinds=definite",
     RbConfig.ruby, File.join(__dir__, "exchanges.rb"), upstream.url(""), *@kinds]
  end

  # The process that was started has the lowest number.
  def reports(logs)
    parent, *children = Dir.children(logs).sort_by(&:to_i).map { File.read(File.join(logs, _1)) }
    [parent, children]
  end

  # A forked child forgets its parent's engine: that it is lost there is meant so.
  def faults_of(parent, children)
    faults = [parent, *children].flat_map { |report| report.scan(FAULT) }
    parent.match?(/ERROR SUMMARY: 0 errors/) ? faults : [*faults, "errors"]
  end
end

require "English"
exit Memcheck.new(ARGV).run
