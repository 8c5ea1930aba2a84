# frozen_string_literal: true

require "tmpdir"

# README.md and docs/servers.md say what each server has been shown to do. Here their generator is
# shown to notice what is missing, then it is run.
RSpec.describe ServerTable do
  features = ServerProfile::FEATURES.keys.map(&:to_s)
  yes = features.to_h { |feature| [feature, "yes"] }

  def declared(release: "one", features: {}, limits: {}, version: "2.0", **possible)
    possible = features.transform_values { |state| [state] }.merge(possible.transform_keys(&:to_s))
    { "release" => release,
      "servers" => { "puma" => { "name" => "Puma", "package" => "puma", "version" => version,
                                 "features" => features, "limits" => limits,
                                 "possible" => possible } } }
  end

  def table(declared, **results)
    results = results.transform_keys(&:to_s).transform_values do |(version, features)|
      { "version" => version, "features" => features }
    end
    described_class.new(declared:, results: { "puma" => results },
                        releases: { "one" => { "puma" => "1" }, "two" => { "puma" => "2" } })
  end

  describe "#problems" do
    it "names the releases that have a server and no results of it" do
      expect(table(declared(features: yes), one: ["1.0", yes]).problems)
        .to eq(["no results of Puma on two"])
    end

    it "names the features of which something else is declared" do
      limited = yes.merge("live" => "limited")
      one = table(declared(features: yes), one: ["1.0", limited],
                                           two: ["2.0", yes.merge("head" => "failed")])
      expect(one.problems).to eq(['Puma on one: live is "limited", not yes',
                                  'Puma on two: head is "failed", not yes'])
    end

    it "leaves open what is declared of some versions, but on this system" do
      some = declared(features: yes, live: %w[yes limited])
      limited = yes.merge("live" => "limited")
      expect(table(some, one: ["1.0", yes], two: ["2.0", limited]).problems).to eq([])
      expect(table(some, one: ["1.0", limited], two: ["2.0", yes]).problems)
        .to eq(['Puma on one: live is "limited", not yes'])
    end

    it "names the features that no example of a server shows" do
      one = table(declared(features: yes.merge("live" => "not run"), live: ["yes"]),
                  one: ["1.0", yes], two: ["2.0", yes])
      expect(one.problems).to eq(['Puma on one: live is "yes", not not run'])
    end
  end

  it "has a column for each server, with the versions that ran, and its limits" do
    one = table(declared(features: yes, limits: { "head" => "It waits." }),
                one: ["1.0", yes], two: ["2.0", yes.merge("head" => "limited",
                                                          "truncation" => "failed")])
    expect(one.table).to start_with(<<~TABLE)
      |  | [Puma](docs/servers.md#puma) |
      | --- | --- |
      | tested | 1.0, 2.0 |
      | responses stream live | yes |
      | a head goes out before the first byte of its body | [limited](docs/servers.md#limits) |
      | a response that was cut short is seen to be so | no |
    TABLE
    expect(one.limits).to eq(<<~LIMITS)
      **Puma** (1.0, 2.0)

      - a head goes out before the first byte of its body: It waits.
    LIMITS
  end

  describe "of this checkout" do
    before(:context) { @table = described_class.new }

    it "has results of each feature, as the profiles declare it (`rake servers` runs them)" do
      expect(@table.problems).to eq([])
    end

    it "links to a section of docs/servers.md for each server" do
      links = @table.table.lines.first.scan(%r{\(docs/servers\.md#([\w-]+)\)}).flatten
      sections = File.read(File.join(described_class::ROOT, "docs/servers.md")).scan(/^## (.+)$/)
      expect(links).to include("puma")
      expect(links - sections.flatten.map { |title| described_class.anchor(title) }).to eq([])
    end

    described_class::FILES.each_key do |file|
      it "is what #{file} says: `rake servers:texts` writes it" do
        expect(File.read(File.join(described_class::ROOT, file))).to eq(@table.text_of(file))
      end
    end
  end
end

RSpec.describe ServerResults do
  profile = ServerProfile.new(:puma, "Puma", {}, {
                                **ServerProfile::FEATURES.transform_values { true },
                                shutdown: "It waits.",
                                chunks: ServerProfile.limit("Not of old ones.", here: false),
                                http10: ServerProfile.exception("Not at night.")
                              })

  # What the formatter prints of examples, each a feature and its status.
  define_method(:results) do |examples|
    allow(ServerProfile).to receive(:all).and_return({ puma: profile })
    examples = examples.map do |feature, status|
      RSpec::Core::Example.allocate.tap do |example|
        allow(example).to receive_messages(
          metadata: { server: :puma, feature: },
          execution_result: RSpec::Core::Example::ExecutionResult.new.tap { _1.status = status }
        )
      end
    end
    output = StringIO.new
    described_class.new(output).stop(RSpec::Core::Notifications::ExamplesNotification.new(
                                       Struct.new(:examples).new(examples)
                                     ))
    described_class.in(output.string).first.dig("servers", "puma")
  end

  it "says of a feature what the profile does, if its examples have run and passed" do
    shown = results([%i[live passed], %i[live passed], %i[shutdown passed], %i[chunks passed],
                     %i[http10 passed], %i[deflater passed], %i[deflater failed],
                     %i[restart pending]])
    expect(shown["features"])
      .to include("live" => "yes", "shutdown" => "limited", "chunks" => "yes", "http10" => "partly",
                  "deflater" => "failed", "restart" => "not run", "head" => "not run")
  end

  it "names the gems of a server that is tested by others than its own" do
    allow(ServerProcess::Puma).to receive(:packages).and_return(%w[puma rack])
    expect(results([])["version"])
      .to eq("puma #{ServerProcess::Puma.version} with rack #{Rack.release}")
  end
end

RSpec.describe ServerRun do
  # A command that prints the result of one release, and ends with the status.
  def matrix(release, version, status: 0)
    results = { release:, servers: { puma: { version:, features: { live: "yes" } },
                                     thin: { version: nil, features: { live: "not run" } } } }
    text = "...\nresults of servers: #{JSON.generate(results)}\n"
    [RbConfig.ruby, "-e", "print #{text.inspect}; exit #{status}"]
  end

  around do |example|
    Dir.mktmpdir do |directory|
      @path = File.join(directory, "servers.yml")
      example.run
    end
  end

  def results
    YAML.load_file(@path)
  end

  it "keeps the results of a release, and those of others, by version" do
    run = described_class.new(path: @path, output: StringIO.new)
    run.call(command: matrix("new", "10.0"))
    run.call(command: matrix("old", "9.0"))
    run.call(command: matrix("new", "11.0"))
    expect(results.fetch("puma").to_a)
      .to eq([["old", { "version" => "9.0", "features" => { "live" => "yes" } }],
              ["new", { "version" => "11.0", "features" => { "live" => "yes" } }]])
  end

  it "fails when examples have failed, and keeps what they have shown" do
    run = described_class.new(path: @path, output: StringIO.new)
    expect { run.call(command: matrix("new", "10.0", status: 1)) }
      .to raise_error("spec/servers failed")
    expect(results.fetch("puma").keys).to eq(["new"])
  end
end
