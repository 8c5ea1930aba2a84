# frozen_string_literal: true

require_relative "lib/rack/streaming_proxy/version"

Gem::Specification.new do |spec|
  spec.name = "rack-streaming-proxy"
  spec.version = Rack::StreamingProxy::VERSION
  spec.authors = ["The rack-streaming-proxy maintainers"]
  spec.summary = "A streaming reverse proxy inside a Rack application, with Rust to move the bytes"
  spec.description = <<~TEXT
    Rack middleware that passes a request on to another service and streams the answer back, chunk
    by chunk. The application authenticates, routes and rewrites in Ruby; a native extension (tokio
    and hyper) moves the bytes without the GVL.
  TEXT
  spec.homepage = "https://github.com/zerowidth/rack-streaming-proxy"
  spec.license = "MIT"
  spec.metadata = {
    "bug_tracker_uri" => "#{spec.homepage}/issues",
    "changelog_uri" => "#{spec.homepage}/blob/main/CHANGELOG.md",
    "documentation_uri" => "#{spec.homepage}/blob/main/README.md",
    "source_code_uri" => spec.homepage,
    "rubygems_mfa_required" => "true",
    "cargo_crate_name" => "rack_streaming_proxy"
  }

  spec.required_ruby_version = ">= 3.1"
  spec.required_rubygems_version = ">= 3.3.11"
  spec.requirements = ["Rust >= 1.85 and libclang, to build the extension"]

  spec.files = Dir[
    "lib/**/*.rb", "sig/**/*.rbs", "ext/**/*.{rs,toml,rb}", "Cargo.{toml,lock}",
    "docs/**/*.md", "README.md", "CHANGELOG.md", "LICENSE", ".yardopts"
  ] - Dir["ext/engine/fuzz/**/*"]
  spec.require_paths = ["lib"]
  spec.extensions = ["ext/rack_streaming_proxy/extconf.rb"]

  spec.add_dependency "rack", ">= 2.2", "< 4"
end
