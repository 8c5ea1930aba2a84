# frozen_string_literal: true

require_relative "tunnels"

# What is seen of each setting of tunnels, for SettingEffects.
module TunnelEffects
  include Tunnels

  def effect_of_allow_upgrade(app)
    upstream = serving { [200, {}, ""] }
    upgrade_in_process(app.call(upstream.url))
    expect(upstream.wait_for_request.names).not_to include("upgrade")
  end

  def effect_of_tunnel_timeout(app)
    client = tunnel_in_process(app.call(echoing.url))
    expect(client.wait_for_end).not_to be_nil
  end
end
