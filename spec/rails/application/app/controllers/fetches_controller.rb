# frozen_string_literal: true

class FetchesController < ApplicationController
  include FetchActions
  skip_forgery_protection
end
