# frozen_string_literal: true

RSpec.describe "rails g streaming_proxy:install" do
  include RailsRequests

  let(:application) { keep(RailsApplication.new) }
  let(:initializer_file) { application.path(RailsApplication::INITIALIZER) }

  def generate(*options)
    application.rails("generate", "streaming_proxy:install", *options)
  end

  it "is among Rails' generators, with what it does" do
    expect(application.rails("generate", "--help")).to include("streaming_proxy:install")
    expect(generate("--help")).to include("Writes #{RailsApplication::INITIALIZER}")
  end

  it "writes an initializer with which Rails boots and answers as before, and says what is next" do
    output = generate
    expect(output).to match(/create.*#{Regexp.escape(RailsApplication::INITIALIZER)}/)
    expect(output).to match(/Return the URL of an upstream from the block/)
    server = start_puma(application.rackup, env: { "RAILS_ENV" => "production" })
    names = get(server, "/middleware").body.split("\n")
    expect(names[names.index("Rack::StreamingProxy::Proxy") + 1]).to eq("Rack::Head")
    expect(get(server, "/files/a").body).to eq("from Rails")
  end

  it "writes an example that streams from an upstream once it is taken out of its comment" do
    upstream = serving { |request| [200, {}, "upstream #{request.head.target}"] }
    generate
    text = File.read(initializer_file).gsub(/# (if|  "http|end)/, "\\1")
    File.write(initializer_file, text.sub("http://files.internal", upstream.url("")))
    server = start_puma(application.rackup, env: { "RAILS_ENV" => "production" })
    expect(get(server, "/files/a?b=c").body).to eq("upstream /files/a?b=c")
  end

  it "leaves an initializer alone that is there, unless it is forced" do
    application.write(RailsApplication::INITIALIZER, "# mine\n")
    output = generate
    expect(output).to match(/skip.*#{Regexp.escape(RailsApplication::INITIALIZER)}/)
    expect(output).to match(/left as it was; --force replaces it/)
    expect(output).not_to include("Return the URL")
    expect(File.read(initializer_file)).to eq("# mine\n")
    expect(generate("--force")).to match(/force/)
    expect(File.read(initializer_file)).to include("Rack::StreamingProxy::Proxy")
  end

  it "changes nothing the second time" do
    generate
    before = Dir.glob("**/*", base: application.directory).sort
    expect(generate).to match(/identical/)
    expect(Dir.glob("**/*", base: application.directory).sort).to eq(before)
  end

  it "takes the initializer away again with rails destroy" do
    generate
    output = application.rails("destroy", "streaming_proxy:install")
    expect(output).to match(/remove/)
    expect(output).not_to include("Return the URL")
    expect(File.exist?(initializer_file)).to be(false)
  end
end
