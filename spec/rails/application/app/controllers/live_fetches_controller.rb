# frozen_string_literal: true

class LiveFetchesController < ApplicationController
  include ActionController::Live
  include FetchActions

  private

  def committed
    response.stream.write("first")
    whole
  rescue AbstractController::DoubleRenderError => e
    response.stream.write(e.message)
  ensure
    response.stream.close
  end
end
