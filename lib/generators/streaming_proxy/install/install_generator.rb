# frozen_string_literal: true

require "rails/generators/base"

# Where Rails looks for the generators of `rails g streaming_proxy:...`.
module StreamingProxy
  # The generators; loaded by Rails when it is asked for one.
  module Generators
    # `rails g streaming_proxy:install`: writes `config/initializers/streaming_proxy.rb`. One that
    # is there already is left alone, unless `--force` is given.
    class InstallGenerator < ::Rails::Generators::Base
      INITIALIZER = "config/initializers/streaming_proxy.rb"
      private_constant :INITIALIZER

      source_root ::File.expand_path("templates", __dir__)
      desc "Writes #{INITIALIZER}, which inserts Rack::StreamingProxy::Proxy."

      # Writes the initializer.
      def copy_initializer
        @kept = ::File.exist?(::File.expand_path(INITIALIZER, destination_root)) && !options[:force]
        copy_file "streaming_proxy.rb", INITIALIZER, skip: true
      end

      # Says what is left to do.
      def say_what_is_next
        return unless behavior == :invoke
        return say("#{INITIALIZER} is left as it was; --force replaces it.") if @kept

        say "Return the URL of an upstream from the block in #{INITIALIZER}; until then every " \
            "request goes to your application, as before."
      end
    end
  end
end
