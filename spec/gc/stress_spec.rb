# frozen_string_literal: true

# Ruby collects garbage, and with it whatever the extension does not hold as it should, at each
# allocation.
RSpec.describe "Under GC.stress" do
  script = File.join(RubyProcess::ROOT, "dev/memcheck/exchanges.rb")
  kinds = [script, script.sub("exchanges", "hand_overs")].flat_map do |file|
    File.read(file)[/^(?:class|module) \w+$.*?^  private$/m].scan(/^  def (?!initialize)(\w+)/)
  end

  let(:upstream) { keep BorderUpstream.start }

  define_method(:run) do |kind, stress|
    process = keep(RubyProcess.new(script, upstream.url(""), kind, env: { "STRESS" => stress }))
    process.wait(within: stress == "all" ? 110 : 50)
    process.output.ended?(within: 20)
    process.output.to_s
  end

  kinds.flatten.each do |kind|
    it "#{kind} are what they are without" do
      expect(run(kind, "young")).to eq("#{kind} true\n")
    end
  end

  it "that looks at all objects, hints are what they are without", time_limit: 120 do
    expect(run("hints", "all")).to eq("hints true\n")
  end
end
