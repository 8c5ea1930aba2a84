# frozen_string_literal: true

# A part of the suite is run once more, with every call and every value checked against sig/.
# Examples that break the signatures on purpose are marked with `:against_signatures`.
RSpec.describe "The signatures", skip: Signatures.missing do
  checked = %w[testing testing_failures middleware response settings trailers raise_on_error url]
            .map { |name| "spec/#{name}_spec.rb" }

  # @return [String] what RSpec printed
  def run_checked(specs, signatures: "sig")
    env = { "RBS_TEST_TARGET" => "Rack::StreamingProxy,Rack::StreamingProxy::*",
            "RBS_TEST_OPT" => "-I #{signatures} -r logger -r uri -r ipaddr",
            "RBS_TEST_LOGLEVEL" => "error", "GC_COMPACT" => nil }
    process = keep(RubyProcess.new("-r", "rbs/test/setup", "-S", "rspec", "--no-color",
                                   "--tag", "~against_signatures", *specs, env:))
    process.wait(within: 100)
    process.output.ended?(within: 20)
    process.output.to_s
  end

  it "hold for what the suite calls", time_limit: 120 do
    output = run_checked(checked)
    expect(output).to match(/^\d{3,} examples, 0 failures$/)
  end

  it "would fail it if they did not" do
    Dir.mktmpdir do |directory|
      FileUtils.cp_r(File.join(RubyProcess::ROOT, "sig"), directory)
      file = File.join(directory, "sig/rack/streaming_proxy/response.rbs")
      File.write(file, File.read(file).sub("status: Integer", "status: String"))
      output = run_checked(["spec/trailers_spec.rb"], signatures: File.join(directory, "sig"))
      expect(output).to match(/\[Rack::StreamingProxy::Response#status\].* expected `::String`/)
    end
  end
end
