# frozen_string_literal: true

# Every example of docs/forward.md is run.
RSpec.describe "docs/forward.md" do
  include RailsRequests

  page = File.read(File.join(RubyProcess::ROOT, "docs/forward.md"))
  examples = page.scan(/^```ruby\n# ([^\n]+)\n(.*?)^```$/m).to_h

  let(:upstream) { serving { |request| [200, {}, "upstream #{request.head.target}"] } }

  define_method(:example) do |title, url = upstream.url("")|
    examples.fetch(title).gsub("http://files.internal", url)
  end

  def start_rails_with(routes, configuration = "")
    application = keep(RailsApplication.new(files: { "config/routes.rb" => routes }))
    application.write("config/initializers/streaming_proxy.rb", configuration)
    start_puma(application.rackup, env: { "RAILS_ENV" => "production" })
  end

  it "has no example that is not run here" do
    expect(examples.keys)
      .to eq(["config.ru", "config/routes.rb", "config.ru for Sinatra"])
    expect(page.scan(/^```\w+$/).size).to eq(examples.size)
  end

  it "shows any Rack code" do
    server = start_puma(example("config.ru"))
    expect(get(server, "/files/a?b=c").body).to eq("upstream /files/a?b=c")
    expect(get(server, "/other").body).to eq("not here\n")
  end

  it "shows a route of Rails" do
    server = start_rails_with(example("config/routes.rb"))
    expect(get(server, "/files/a?b=c").body).to eq("upstream /files/a?b=c")
    expect(get(server, "/other").status).to eq(404)
  end

  it "says how a route of Rails streams on any Rack" do
    without = page[/config\.middleware\.delete [\w:]+/]
    rest = EventQueue.new("rest")
    ticking = start_upstream do |connection|
      connection.read_head
      connection.begin_chunked
      connection.chunk("a")
      connection.chunk(rest.pop(within: 30))
      connection.end_chunked
    end
    client = connect(start_rails_with(example("config/routes.rb", ticking.url("")),
                                      "Rails.application.#{without}"))
    client.get("/files/a")
    expect(client.read_head(within: 10).names).to include("x-request-id")
    expect(client.read_chunk).to eq("a")
    rest << "b"
    expect([client.read_chunk, client.read_chunk]).to eq(["b", nil])
  end

  it "shows a route of Sinatra", if: Installed.version("sinatra") do
    server = start_puma(example("config.ru for Sinatra"))
    expect(get(server, "/files/a").status).to eq(403)
    expect(get(server, "/files/a?key=letmein").body).to eq("upstream /files/a?key=letmein")
    expect(get(server, "/other").status).to eq(404)
  end
end
