# frozen_string_literal: true

# What the specs ask about the application itself.
class InspectionController < ApplicationController
  def settings
    settings = Rails.application.config.streaming_proxy.to_h.except(:logger)
    render plain: settings.map { |name, value| "#{name}=#{value.inspect}" }.join(" ")
  end

  def middleware
    render plain: Rails.application.middleware.map(&:name).join("\n")
  end
end
