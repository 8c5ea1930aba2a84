# frozen_string_literal: true

# A precompiled gem has one library for each Ruby; a built one lies beside this file or in the
# gem's extension directory, which is on the load path.
begin
  require_relative "#{RUBY_VERSION[/\d+\.\d+/]}/rack_streaming_proxy"
rescue LoadError
  require "rack/streaming_proxy/rack_streaming_proxy"
end
