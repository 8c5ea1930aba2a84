# frozen_string_literal: true

class SessionsController < ApplicationController
  def new
    render plain: form_authenticity_token
  end

  def create
    session[:user_id] = params[:user_id]
    render plain: current_user.name
  end

  def show
    render plain: "#{current_user&.name} #{session[:downloads].inspect}"
  end
end
