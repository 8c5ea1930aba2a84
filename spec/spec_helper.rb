# frozen_string_literal: true

$LOAD_PATH.unshift File.expand_path("../lib", __dir__)

require "json"
require "logger"
require "stringio"
require "rack"
require "rack/lint"
require "rack/mock"
require "rack/test"
require "rack/streaming_proxy"

Dir[File.join(__dir__, "support", "{deadline,raw_socket,ruby_process}.rb")].sort.each { require _1 }
Dir[File.join(__dir__, "support", "*.rb")].sort.each { require _1 }

RSpec.configure do |config|
  config.disable_monkey_patching!
  config.order = :random
  Kernel.srand config.seed
  config.expect_with(:rspec) { |expectations| expectations.max_formatted_output_length = 2_000 }
  config.mock_with(:rspec) { |mocks| mocks.verify_partial_doubles = true }
  config.shared_context_metadata_behavior = :apply_to_host_groups

  config.include Lifetimes
  config.include InProcessCalls
  config.extend Lifetimes::Groups

  config.around { |example| SuiteLimits.bounded(example) }
  config.before { keep_for_the_example }
  config.after { stop_kept }
  # dev/matrix/run asks for it in one release. It takes long: of five examples one has to do.
  config.after { GC.compact if rand(5).zero? } if ENV.key?("GC_COMPACT")

  threads_before = Thread.list
  config.after(:suite) { SuiteLimits.check_nothing_left(threads_before) }
end
