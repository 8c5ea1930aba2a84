# frozen_string_literal: true

RSpec.describe "The proxy's block in a Rails application" do
  include RailsRequests

  # @param block [String] what decides about /files
  def start(block, **options)
    @upstream = serving do |request|
      [200, {}, "upstream #{request.head.target}#{" #{request.body}".rstrip}"]
    end
    start_rails(initializer(block: <<~RUBY), upstream: @upstream, **options)
      next unless request.path.start_with?("/files")

      #{block}
    RUBY
  end

  def log_in(server, id)
    form = get(server, "/session/new")
    token = Rack::Utils.escape(form.body)
    answer = post(server, "/session", "authenticity_token=#{token}&user_id=#{id}", cookies(form))
    expect(answer.status).to eq(200)
    cookies(answer)
  end

  it "finds who has logged in, by the session" do
    server = start(<<~RUBY)
      user = User.find_by_id(request.session[:user_id])
      "\#{ENV.fetch("UPSTREAM")}/\#{user.name}" if user
    RUBY
    expect(get(server, "/files/a").body).to eq("from Rails")
    expect(get(server, "/files/a", log_in(server, 1)).body).to eq("upstream /Ann")
    expect(get(server, "/files/a", log_in(server, 2)).body).to eq("upstream /Bob")
  end

  it "changes the session, of which the cookie goes out with the upstream's own" do
    upstream = serving { [200, { "Set-Cookie" => "theirs=1" }, "file"] }
    server = start(<<~RUBY, upstream:)
      request.session[:downloads] = request.session[:downloads].to_i + 1
      ENV.fetch("UPSTREAM")
    RUBY
    first = get(server, "/files/a")
    expect(first.head.all("set-cookie"))
      .to contain_exactly("theirs=1", /\A_your_rails_app_session=.*httponly/i)
    second = get(server, "/files/a", cookies(first))
    expect(get(server, "/session", cookies(second)).body).to eq(" 2")
  end

  it "leaves the session and its cookie alone if it does not ask for them" do
    server = start('ENV.fetch("UPSTREAM") + request.fullpath')
    session = log_in(server, 1)
    expect(get(server, "/files/a", session).head["set-cookie"]).to be_nil
    expect(@upstream.wait_for_request["cookie"]).to eq(session["Cookie"])
    expect(get(server, "/session", session).body).to eq("Ann nil")
  end

  it "may ask by what the docs show: ActionDispatch::Request, with its cookie jar" do
    server = start(<<~RUBY)
      rails_request = ActionDispatch::Request.new(request.env)
      seen = [rails_request.cookie_jar[:plain], rails_request.request_id, rails_request.remote_ip]
      rails_request.cookie_jar.encrypted[:secret] = "s"
      "\#{ENV.fetch("UPSTREAM")}/\#{seen.join("/")}"
    RUBY
    answer = get(server, "/files", "Cookie" => "plain=p", "X-Request-Id" => "id-1")
    expect(answer.body).to eq("upstream /p/id-1/127.0.0.1")
    expect(answer.head["set-cookie"]).to match(/\Asecret=[^;]{20,}/)
  end

  it "leaves Rails' request id its name, whatever request_id_header says" do
    @upstream = serving { [204, {}, []] }
    text = initializer('config.action_dispatch.request_id_header = "X-Correlation-Id"')
    server = start_rails(text, upstream: @upstream)
    answer = get(server, "/search", "X-Correlation-Id" => "id/1", "X-Request-Id" => "other")
    sent = @upstream.wait_for_request
    expect(sent.all("x-request-id")).to eq(["id1"])
    expect(sent.all("x-correlation-id")).to eq(["id/1"])
    expect(answer.head.all("x-correlation-id")).to eq(["id1"])
  end

  it "finds what a middleware in front has put into the environment, as Warden does" do
    warden = { "config/initializers/a_warden.rb" => <<~RUBY }
      YourWarden = Struct.new(:app) do
        def call(env)
          env["warden"] = Struct.new(:user).new(env["rack.session"][:user_id])
          app.call(env)
        end
      end
      Rails.application.config.middleware.insert_before Rack::Head, YourWarden
    RUBY
    server = start('File.join(ENV.fetch("UPSTREAM"), request.env["warden"].user)', files: warden)
    expect(get(server, "/files/a", log_in(server, 2)).body).to eq("upstream /2")
  end

  it "takes no part in forgery protection: a form goes up with its token" do
    server = start('ENV.fetch("UPSTREAM") + request.fullpath')
    expect(post(server, "/files", "authenticity_token=t%2B1&a=b").body)
      .to eq("upstream /files authenticity_token=t%2B1&a=b")
    expect(post(server, "/session", "user_id=1").status).to eq(422)
  end
end
