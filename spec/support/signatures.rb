# frozen_string_literal: true

# The gem rbs, which comes with most Rubies and which the specs of sig/ need.
module Signatures
  # @return [String, false] why they are skipped where it is not there
  def self.missing
    Gem::Specification.find_all_by_name("rbs").empty? &&
      "this Ruby (#{RUBY_VERSION}) comes without the gem rbs"
  end
end
