# frozen_string_literal: true

class GreetingsController < ApplicationController
  def show
    render plain: Greeting::TEXT
  end
end
