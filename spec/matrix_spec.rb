# frozen_string_literal: true

require "fileutils"
require "open3"

# bin/matrix without a chroot: what it chooses, checks and tells.
RSpec.describe "bin/matrix", matrix: false do
  codename = File.read("/etc/os-release")[/^VERSION_CODENAME=(\w+)/, 1]

  around do |example|
    Dir.mktmpdir do |directory|
      @directory = directory
      FileUtils.mkdir_p(%w[bin dev cache].map { |name| File.join(directory, name) })
      FileUtils.cp_r(File.join(RubyProcess::ROOT, "dev/matrix"), File.join(directory, "dev"))
      FileUtils.cp(File.join(RubyProcess::ROOT, "bin/matrix"), File.join(directory, "bin"))
      script("bin/setup", ":")
      example.run
    end
  end

  def script(path, text)
    FileUtils.mkdir_p(File.dirname(File.join(@directory, path)))
    File.write(File.join(@directory, path), "#!/bin/sh\n#{text}\n", perm: 0o755)
  end

  def releases(text)
    File.write(File.join(@directory, "dev/matrix/releases.yml"), text)
  end

  # @return [Array(String, Integer)] what it printed, and its exit status
  def run(command, *arguments, path: nil)
    env = { "XDG_CACHE_HOME" => File.join(@directory, "cache"), "TMPDIR" => @directory }
    env["PATH"] = "#{File.join(@directory, path)}:#{ENV.fetch("PATH")}" if path
    output, status = Open3.capture2e(env, File.join(@directory, command), *arguments)
    [output, status.exitstatus]
  end

  it "lists the releases with the least that each has" do
    output, status = run("bin/matrix", "--list")
    expect(output).to match(/^bookworm:\n  ruby: "3.1"$.*^trixie:\n.*^forky:\n/m)
    expect(status).to eq(0)
  end

  it "refuses a name that is none, and says which there are" do
    expect(run("bin/matrix", "bookworm", "potato"))
      .to eq(["bin/matrix: there is no potato; there are bookworm trixie forky\n", 1])
  end

  it "refuses an option that is none, and shows those there are" do
    message = "bin/matrix: there is no option --lst; --help shows those there are\n"
    expect(run("bin/matrix", "bookworm", "--lst")).to eq([message, 1])
    output, status = run("bin/matrix", "--help")
    options = File.read(File.join(@directory, "bin/matrix")).scan(/^ +(--\w+)\)/).flatten
    expect(options).to include("--others", "--help")
    expect(output.scan(%r{^  bin/matrix (--\w+)}).flatten).to match_array(options)
    expect(output).to match(/\ARuns the suite on .*root, or sudo\.\n\z/m)
    expect(status).to eq(0)
  end

  describe "of the machine's own release" do
    before do
      releases("#{codename}:\n  rake: \"1\"\n")
      # What stands at /usr/bin is taken for the distribution's.
      FileUtils.mkdir(File.join(@directory, "system"))
      File.symlink("/usr/bin/env", File.join(@directory, "system/ruby"))
    end

    def run_matrix(*arguments) = run("bin/matrix", *arguments, path: "system")

    it "runs the suite here, with the arguments behind --" do
      script("dev/matrix/run", "echo ran $*")
      expect(run_matrix("--", "-e", "x"))
        .to eq(["bin/matrix: #{codename}\nran #{codename} -e x\n", 0])
    end

    it "fails with its name when the suite fails" do
      script("dev/matrix/run", "exit 3")
      expect(run_matrix).to eq(["bin/matrix: #{codename}\nbin/matrix: failed: #{codename}\n", 1])
    end

    it "looks at its versions only with --others" do
      script("dev/matrix/run", "echo ran")
      script("dev/matrix/versions", "echo versions of $*")
      expect(run_matrix("--others")).to eq(["bin/matrix: #{codename}\nversions of #{codename}\n",
                                            0])
    end
  end

  describe "of another release" do
    it "tells why it cannot be installed, and takes nothing half done for whole" do
      script("stubs/debootstrap", "mkdir -p \"$5\"; echo no route to the mirror; exit 1")
      script("stubs/apt-get", "echo http://mirror.test/debian")
      2.times do
        output, status = run("bin/matrix", "trixie", path: "stubs")
        expect(output).to include("installing trixie from http://mirror.test/debian in",
                                  "\nno route to the mirror\n",
                                  "debootstrap cannot install trixie", "failed: trixie")
        expect(status).to eq(1)
      end
    end

    it "tells when apt has no mirror to install it from" do
      script("stubs/apt-get", ":")
      output, = run("bin/matrix", "trixie", path: "stubs")
      expect(output).to match(/apt knows no mirror of Debian.*failed: trixie/m)
    end
  end

  describe "the versions" do
    it "are refused when they are less than the release has" do
      releases("old:\n  ruby: \"99\"\n  no-such-gem: \"1\"\n")
      FileUtils.mkdir_p(File.join(@directory, "tmp/x/rack_streaming_proxy", RUBY_VERSION))
      makefile = File.join(@directory, "tmp/x/rack_streaming_proxy", RUBY_VERSION, "Makefile")
      File.write(makefile, "")
      output, status = run("dev/matrix/versions", "old")
      expect(output).to include("ruby #{RUBY_VERSION}, no-such-gem none")
      expect(output).to include("ruby #{RUBY_VERSION} is older than 99, no-such-gem is missing")
      expect(status).to eq(1)
    end
  end
end
