# frozen_string_literal: true

# Every example of docs/servers.md is run. An example that is not known here fails.
RSpec.describe "docs/servers.md" do
  page = File.read(File.join(RubyProcess::ROOT, "docs/servers.md"))
  examples = page.scan(/^```\w+\n(.*?)^```$/m).flatten

  define_method(:example_with) do |mark|
    examples.find { |text| text.include?(mark) }
  end

  def expect_to_serve(server)
    client = connect(server)
    client.get("/__pid")
    expect(client.read_response(within: 20).status).to eq(200)
  end

  it "has no example that is not known here" do
    known = ["# config/puma.rb", "# config/unicorn.rb", "$ passenger start", "$ thin start",
             "profile ="]
    expect(examples.reject { |text| known.one? { |mark| text.include?(mark) } }).to eq([])
    expect(examples.size).to eq(known.size)
  end

  it "has a configuration for Puma" do
    expect_to_serve(start_puma(RackupText.proxy, more: example_with("# config/puma.rb")))
  end

  it "has a configuration for Unicorn" do
    expect_to_serve(start_unicorn(RackupText.proxy, more: example_with("# config/unicorn.rb")))
  end

  it "has a command for Passenger" do
    skip "Passenger is not installed on this system" unless ServerProcess.of(:passenger).version
    options = example_with("$ passenger start").delete_prefix("$ passenger start").split
    expect_to_serve(start_server(:passenger, RackupText.proxy, more: options))
  end

  it "has a command for Thin" do
    options = example_with("$ thin start").delete_prefix("$ thin start").split
    expect_to_serve(start_server(:thin, RackupText.proxy, more: options))
  end

  it "has a file for a new server, with all behaviours" do
    text = example_with("profile =").sub(':name, "Name"', ':puma, "Puma"')
    text = text.sub('"behaviour"', File.join(__dir__, "servers/behaviour").inspect)
    Tempfile.create(%w[name _spec.rb]) do |file|
      file.write(text)
      file.flush
      output = IO.popen([RbConfig.ruby, "-S", "rspec", "--dry-run", file.path],
                        chdir: RubyProcess::ROOT, err: %i[child out], &:read)
      expect(output[/(\d+) examples, 0 failures/, 1].to_i).to be > 50
    end
  end
end
