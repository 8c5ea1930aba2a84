# frozen_string_literal: true

class OwnersController < ApplicationController
  def show
    cookies.signed[:owner] = "Ann"
    render plain: "owned"
  end
end
