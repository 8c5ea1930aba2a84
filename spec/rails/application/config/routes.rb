# frozen_string_literal: true

Rails.application.routes.draw do
  get "/settings", to: "inspection#settings"
  get "/middleware", to: "inspection#middleware"
  get "/owner", to: "owners#show"
  get "/greeting", to: "greetings#show"
  resource :session, only: %i[new create show]
  match "/fetches/:name", via: :all, to: "fetches#show"
  match "/api_fetches/:name", via: :all, to: "api_fetches#show"
  match "/live_fetches/:name", via: :all, to: "live_fetches#show"
  match "*any", via: :all, to: "pages#show"
end
