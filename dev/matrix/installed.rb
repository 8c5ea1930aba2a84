# frozen_string_literal: true

# The versions of what this system has.
module Installed
  # Ruby's variables, of Bundler for one, are not Passenger's.
  ENVIRONMENT = { "RUBYOPT" => nil, "RUBYLIB" => nil }.freeze
  private_constant :ENVIRONMENT

  # @param name [String] of a gem, or "ruby"
  # @return [String, nil] nil where there is none
  def self.version(name)
    case name
    when "ruby" then RUBY_VERSION
    when "passenger" then passenger
    else Gem::Specification.find_all_by_name(name).map(&:version).max&.to_s
    end
  end

  # Debian's Passenger is no gem.
  def self.passenger
    IO.popen([ENVIRONMENT, "passenger", "--version", { err: File::NULL }], &:read)[/[\d.]+$/]
  rescue Errno::ENOENT
    nil
  end
  private_class_method :passenger
end
