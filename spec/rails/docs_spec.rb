# frozen_string_literal: true

# Every example of docs/rails.md is a file of the application, or a command in it.
RSpec.describe "docs/rails.md" do
  include RailsRequests

  page = File.read(File.join(RubyProcess::ROOT, "docs/rails.md"))
  fences = page.scan(/^```(\w*)\n(.*?)^```$/m)
  examples = { session: "request.session", request: "ActionDispatch::Request.new",
               errors: "raise_on_error = true", mapping: "rescue_responses",
               generate: "$ bin/rails" }

  define_method(:code) do |name|
    fences.map(&:last).find { |text| text.include?(examples.fetch(name)) }
  end

  let(:upstream) { serving { |request| [200, {}, "upstream #{request.head.target}"] } }

  # @param more [Symbol] the example that is a file of configuration
  def start(name, more: nil, url: upstream.url(""))
    application = keep(RailsApplication.new(code(name).gsub("http://files.internal", url)))
    if more
      file = application.path(code(more)[/\A# (\S+)/, 1])
      File.write(file, "#{File.read(file)}\n#{code(more)}")
    end
    start_puma(application.rackup, env: { "RAILS_ENV" => "production" })
  end

  def log_in(server)
    form = get(server, "/session/new")
    token = Rack::Utils.escape(form.body)
    cookies(post(server, "/session", "authenticity_token=#{token}&user_id=1", cookies(form)))
  end

  it "has no example that is not known here" do
    expect(fences.size).to eq(examples.size)
    expect(examples.keys.map { |name| code(name) }.uniq.size).to eq(examples.size)
  end

  it "shows the generator's command" do
    application = keep(RailsApplication.new)
    command, *words = code(:generate).delete_prefix("$ ").split
    expect([command, application.rails(*words)]).to match(["bin/rails", /create/])
  end

  it "shows who asks, by the session" do
    server = start(:session)
    expect(get(server, "/files/a").body).to eq("from Rails")
    expect(get(server, "/files/a?b", log_in(server)).body).to eq("upstream /Ann/files/a?b")
  end

  it "shows how to have Rails' request, with what it does to cookies and to parameters" do
    server = start(:request)
    expect(get(server, "/files/a").body).to eq("from Rails")
    expect(get(server, "/files/a", "Cookie" => "owner=forged").body).to eq("from Rails")
    owner = get(server, "/owner")
    expect(get(server, "/files/a?b=c", cookies(owner)).body).to eq("upstream /Ann/files/a?b=c")
  end

  it "shows how to have Rails' pages, with a mapping of the application's own" do
    url = "http://127.0.0.1:#{closed_port}"
    expect(get(start(:errors, url:), "/files/a").body).to include("Our upstream is away")
    expect(get(start(:errors, more: :mapping, url:), "/files/a").status).to eq(503)
  end
end
