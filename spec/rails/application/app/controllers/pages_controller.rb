# frozen_string_literal: true

class PagesController < ApplicationController
  skip_forgery_protection

  def show
    render plain: "from Rails"
  end
end
