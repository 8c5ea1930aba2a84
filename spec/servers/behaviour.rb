# frozen_string_literal: true

require_relative "../support/server_profile"

Dir[File.join(__dir__, "behaviour", "*.rb")].sort.each { |file| require file }

# All behaviours of a server, shown through a process of its own.
# @param profile [ServerProfile]
RSpec.shared_examples "a Rack server" do |profile|
  include ServerCalls

  if profile.installed?
    once { @server = start_server(profile.kind, profile.rackup) }

    ServerBehaviour::SUBJECTS.each do |subject|
      describe(subject, server: profile.kind) { include_examples subject, profile }
    end

    ServerBehaviour.deliveries(profile).each do |delivery, subjects|
      context "with delivery: #{delivery.inspect}" do
        delivering = profile.delivering(delivery)
        once { @server = start_server(profile.kind, delivering.rackup) }

        subjects.each do |subject|
          describe(subject, server: profile.kind) { include_examples subject, delivering }
        end
      end
    end
  else
    it "is there" do
      skip("#{profile.name} is not installed on this system")
    end
  end
end
