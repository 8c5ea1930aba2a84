# frozen_string_literal: true

# docs/conformance.md says of each behaviour that is asked of a strict reverse proxy which tests
# show it, or why none does. Here its generator is shown to notice what is missing, then it is run.
RSpec.describe Conformance, matrix: false do
  def behaviour(**more)
    { "statement" => "a | b < c", "source" => "RFC 9112", **more.transform_keys(&:to_s) }
  end

  def conformance(behaviours, *tests)
    tests = tests.map { |ids, file, text| NamedTests::Test.new(ids, file, text) }
    sections = { "1.1" => { "title" => "T", "behaviours" => behaviours } }
    described_class.new(sections:, tests:)
  end

  describe "#problems" do
    it "names the behaviours without a test or a reason" do
      one = conformance({ "HH1" => behaviour, "HH2" => behaviour(not_applicable: "why"),
                          "HH3" => behaviour }, [%w[HH3], "a_spec.rb", "x"])
      expect(one.problems).to eq(["HH1 has neither a test nor a reason (not_applicable)"])
    end

    it "names those that are tested though they are said not to be applicable" do
      one = conformance({ "HH1" => behaviour(not_applicable: "why"),
                          "HH2" => behaviour(except: "a part") },
                        [%w[HH1 HH2], "a_spec.rb", "x"])
      expect(one.problems).to eq(["HH1 is not applicable, but tested (say `except`)"])
    end

    it "names the tests of unknown behaviours" do
      one = conformance({ "HH1" => behaviour }, [%w[HH1 HH99], "a_spec.rb", "x"])
      expect(one.problems).to eq(["HH99 is unknown, but named in a_spec.rb"])
    end
  end

  describe "#page" do
    it "has a row for each behaviour, with its tests by file" do
      tests = %w[a b c d e].map { |text| [%w[HH1], "a_spec.rb", text] }
      one = conformance({ "HH1" => behaviour(except: "a part") }, *tests, [%w[HH1], "b.rs", "f|g"])
      expect(one.page).to end_with(<<~'ROW')
        ## 1.1 T

        | ID | statement | source | tests |
        | --- | --- | --- | --- |
        | HH1 | a \| b &lt; c | RFC 9112 | `a_spec.rb`: a; b; c; and 2 more<br>`b.rs`: f\|g<br>Except: a part |
      ROW
    end
  end

  describe "of this checkout" do
    before(:context) { @conformance = described_class.new }

    it "has a test or a reason for each behaviour, and no test of another" do
      expect(@conformance.problems).to eq([])
    end

    it "is what `rake conformance` writes" do
      expect(File.read(described_class::PAGE)).to eq(@conformance.page)
    end
  end
end

RSpec.describe NamedTests do
  it "finds tests in Rust by the prefixes of their names" do
    text = <<~RUST
      fn hh1_no_test() {}
      #[test]
      fn hh1_rs3_one() {}
          #[tokio::test(start_paused = true)]
          #[cfg(unix)]
          async fn to2_two_words() {}
      #[test]
      fn v4_is_no_id() {}
    RUST
    expect(described_class.in_rust("a.rs", text).map(&:to_a))
      .to eq([[%w[HH1 RS3], "a.rs", "one"], [%w[TO2], "a.rs", "two words"]])
  end
end
