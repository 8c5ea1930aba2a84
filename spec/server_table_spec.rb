# frozen_string_literal: true

# README.md and docs/servers.md say what each server can do. Here their generator is shown to notice
# what is missing, then it is run.
RSpec.describe ServerTable do
  features = ServerProfile::FEATURES.keys.map(&:to_s)

  def table(*servers)
    described_class.new(servers:, releases: { "one" => { "puma" => "1.0" },
                                              "two" => { "puma" => "2.0" } })
  end

  it "names the features that no example of an installed server shows" do
    puma = { name: "Puma", packages: ["puma"], installed: true, limits: {},
             shown: features.drop(1) }
    falcon = { name: "Falcon", packages: ["falcon"], installed: false, limits: {}, shown: [] }
    expect(table(puma, falcon).problems).to eq(["no example of Puma shows live"])
  end

  it "has a column for each server, with its versions and limits" do
    puma = { name: "Puma", packages: ["puma"], installed: true, shown: features,
             limits: { head: "It waits." } }
    one = table(puma)
    expect(one.table).to start_with(<<~TABLE)
      |  | [Puma](docs/servers.md#puma) |
      | --- | --- |
      | tested | 1.0, 2.0 |
      | responses stream live | yes |
      | a head goes out before the first byte of its body | [limited](docs/servers.md#limits) |
    TABLE
    expect(one.limits).to eq(<<~LIMITS)
      **Puma** (1.0, 2.0)

      - a head goes out before the first byte of its body: It waits.
    LIMITS
  end

  it "names the gems of a server that is tested by others than its own" do
    parts = { name: "Parts", packages: %w[one two], installed: true, shown: features, limits: {} }
    releases = { "old" => { "one" => "1.0" }, "new" => { "one" => "1.1", "two" => "0.2" } }
    one = described_class.new(servers: [parts], releases:)
    expect(one.table).to include("| tested | one 1.1 with two 0.2 |")
  end

  describe "of this checkout" do
    before(:context) { @table = described_class.new }

    it "has an example for each feature of each server" do
      expect(@table.problems).to eq([])
    end

    it "links to a section of docs/servers.md for each server" do
      links = @table.table.lines.first.scan(%r{\(docs/servers\.md#([\w-]+)\)}).flatten
      sections = File.read(File.join(described_class::ROOT, "docs/servers.md")).scan(/^## (.+)$/)
      expect(links).to include("puma")
      expect(links - sections.flatten.map { |title| described_class.anchor(title) }).to eq([])
    end

    described_class::FILES.each_key do |file|
      it "is what #{file} says: `rake servers` writes it" do
        expect(File.read(File.join(described_class::ROOT, file))).to eq(@table.text_of(file))
      end
    end
  end
end
