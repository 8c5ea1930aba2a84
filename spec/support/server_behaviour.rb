# frozen_string_literal: true

# The subjects of spec/servers/behaviour, in the order of the README's table.
module ServerBehaviour
  SUBJECTS = ["streaming", "truncation", "bodies", "headers", "HTTP/1.0", "uploads",
              "leaving clients", "upgrades", "shutdown", "restarts", "engine's streams", "load",
              "middleware outside", "instrumentation"].freeze
end
