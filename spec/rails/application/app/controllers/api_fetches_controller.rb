# frozen_string_literal: true

class ApiFetchesController < ActionController::API
  include FetchActions
end
