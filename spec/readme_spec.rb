# frozen_string_literal: true

require "shellwords"

# Every example of README.md is run and does what the text around it says. An example that is not
# known here fails.
RSpec.describe "The README" do
  # Of each kind of example, what it is called here and the text by which it is known.
  known = {
    "ruby" => {
      usage: "# config.ru", gemfile: 'gem "rack-streaming-proxy"', rails: "config.streaming_proxy.",
      targets: "case request.path", subclass: "class SearchProxy",
      forward: "StreamingProxy.forward", settings: "timeout: 10",
      tls: "client_cert:",
      destinations: "allow_destinations:",
      rescue: "rescue Rack::StreamingProxy::Failure", stats: "Rack::StreamingProxy.stats"
    },
    "console" => { curl: "$ puma", demo: "$ bin/demo", tests: "$ bin/test" },
    "text" => { log: "[Rack::StreamingProxy] Starting", diagram: "Rack env ──" }
  }
  readme = File.read(File.join(RubyProcess::ROOT, "README.md"))
  fences = readme.scan(/^```(\w*)\n(.*?)^```$/m)

  define_method(:code) do |name|
    language, names = known.find { |_, marks| marks.key?(name) }
    fences.find { |fence| fence[0] == language && fence[1].include?(names[name]) }.last
  end

  # The same with the upstream of the example in place of the hosts that the README invents.
  def live(name, upstream)
    code(name).gsub(%r{https?://\w+\.internal}, upstream.url(""))
  end

  # Puma with an example as its config.ru, completed where it is only a part of one.
  # @param inside [String] what the application inside answers: a Ruby expression
  # @param files [Hash{String => String}] what takes the place of files by these names
  def start_example(name, upstream, inside: '"inside"', files: {})
    text = live(name, upstream)
    text = text.gsub(%r{"/etc/[\w/]+/([\w.]+)"}) { files.fetch(Regexp.last_match(1)).inspect }
    text = "require \"rack/streaming_proxy\"\n#{text}" unless text.include?("require")
    text += "\nrun ->(_env) { [200, {}, [#{inside}]] }\n" unless text.match?(/^run /)
    start_puma(text)
  end

  def get(server, path, headers = {})
    client = connect(server)
    client.get(path, headers)
    client.read_response(within: 10)
  end

  # What a part of a config.ru gives to `use`: arguments, options and block of the only one.
  def use_of(text)
    builder = Struct.new(:uses) do
      def use(*arguments, **options, &block) = uses.push([arguments, options, block])
    end
    builder.new([]).tap { |rackup| rackup.instance_eval(text) }.uses.first
  end

  # An upstream whose next tick comes only when the last one has arrived.
  def write_ticks(connection, ticks)
    connection.begin_chunked(200, "Content-Type" => "text/plain")
    3.times do |number|
      connection.chunk("tick #{number}")
      ticks.pop
    end
    connection.end_chunked
  end

  def expect_ticks(server, path, ticks)
    client = connect(server)
    client.get(path)
    client.read_head
    3.times do |number|
      expect(client.read_chunk).to eq("tick #{number}")
      ticks << true
    end
    expect(client.read_chunk).to be_nil
  end

  it "has no example that is not known here, and each that is" do
    known.each do |language, marks|
      texts = fences.filter_map { |fence, text| text if fence == language }
      found = texts.map { |text| marks.filter_map { |name, mark| name if text.include?(mark) } }
      expect(found).to contain_exactly(*marks.keys.map { |name| [name] })
    end
    expect(fences.map(&:first).uniq).to match_array(known.keys)
  end

  context "with its config.ru on Puma" do
    once do
      @upstream = serving { [200, { "Content-Type" => "text/csv" }, "x" * 1_048_576] }
      @server = start_example(:usage, @upstream)
    end

    # Runs the commands of an example that begin with curl, with the live server's address.
    # @return [Array<Array(String, Array<String>)>] what each wrote, and what the README shows
    def curl(server)
      code(:curl).split(/^\$ /).grep(/\Acurl/).map do |text|
        command, *lines = text.lines(chomp: true)
        words = command.sub("http://localhost:9292", server.url("")).shellsplit
        [IO.popen([*words, "--silent", "--max-time", "10"], "rb", &:read), lines]
      end
    end

    it "asks the upstream for /files, with the query, and answers the rest itself" do
      expect(get(@server, "/files/x?y=1").body.bytesize).to eq(1_048_576)
      expect(@upstream.requests.map(&:target)).to include("/files/x?y=1")
      answer = get(@server, "/other")
      expect([answer.status, answer.head["content-type"]]).to eq([404, "text/plain"])
      expect(answer.body).to eq("not here\n")
    end

    it "gives curl what the README shows" do
      (through, shown), (other, shown_other) = curl(@server)
      head, body = through.split("\r\n\r\n", 2)
      # How names are spelled is Rack's business, and the server's.
      expect(shown.map(&:downcase)).to eq([*head.downcase.split("\r\n"), "..."])
      expect(body).to eq("x" * 1_048_576)
      expect(other.lines(chomp: true)).to eq(shown_other)
    end

    it "logs the lines that the README shows" do
      get(@server, "/files/report.csv")
      live(:log, @upstream).each_line(chomp: true) do |line|
        pattern = Regexp.escape(line).sub(/\d+(?=\\ ms)/, "\\d+")
        expect(@server.output.wait_for(/#{pattern}$/)).to be_truthy
      end
    end
  end

  it "streams with its config.ru" do
    ticks = EventQueue.new("tick")
    upstream = start_upstream do |connection|
      connection.read_head
      write_ticks(connection, ticks)
    end
    expect_ticks(start_example(:usage, upstream), "/files/ticks", ticks)
  end

  it "has a Gemfile line with which Bundler loads the gem" do
    Dir.mktmpdir do |directory|
      File.write(File.join(directory, "Gemfile"),
                 "#{code(:gemfile).chomp}, path: #{RubyProcess::ROOT.inspect}\n")
      process = keep(RubyProcess.new("-e", <<~RUBY, directory:))
        require "bundler"
        Bundler.require
        puts Rack::StreamingProxy::Proxy
      RUBY
      process.wait
      expect(process.output.wait_for(/^Rack::StreamingProxy::Proxy$/)).to be_truthy
    end
  end

  context "with its initializer in Rails" do
    once do
      @ticks = EventQueue.new("tick")
      @upstream = start_upstream { |connection| converse(connection) }
      files = { "config/require_gems.rb" => <<~RUBY }
        require "rack-streaming-proxy"
        Rack::StreamingProxy::Proxy.retry_delay = 0.01
      RUBY
      application = keep(RailsApplication.new(live(:rails, @upstream), files:))
      @server = start_puma(application.rackup, env: { "RAILS_ENV" => "production" })
    end

    def converse(connection)
      loop do
        target = connection.read_request.head.target
        case target
        when /ticks/ then write_ticks(connection, @ticks)
        when /down/ then connection.respond(503)
        else connection.respond(200, {}, "upstream #{target}")
        end
      end
    end

    it "asks the upstream for /search and leaves the rest to Rails" do
      expect(get(@server, "/search/all?q=a%20b").body).to eq("upstream /search?q=a%20b")
      expect(get(@server, "/other").body).to eq("from Rails")
    end

    it "streams" do
      expect_ticks(@server, "/search?ticks", @ticks)
      expect(@server.output.to_s).not_to match(/ETag/)
    end

    it "has the settings that it gives" do
      expect(get(@server, "/settings").body)
        .to eq("log_verbosity=:low num_retries_on_5xx=5 raise_on_5xx=true")
      expect(get(@server, "/search?down").status).to eq(500)
      expect(@upstream.requests.count { |request| request.target.end_with?("down") }).to eq(6)
      expect(@server.output.wait_for(/HttpServerError .*answered 503/)).to be_truthy
      expect(@server.output.to_s).to match(/\[Rack::StreamingProxy\] .*503.*6 attempts/)
    end
  end

  describe "on what the block may return" do
    let(:upstream) { serving { |request| [200, {}, "upstream #{request.head.target}"] } }

    it "is followed" do
      server = start_example(:targets, upstream)
      bodies = %w[/plain /uri /target /else].map { |path| get(server, path).body }
      expect(bodies).to eq(["upstream /plain?a=1", "upstream /uri", "upstream /target", "inside"])
    end

    it "shows a Target with its own timeout" do
      *, block = use_of(code(:targets))
      request = Rack::Request.new(env_for("/target"))
      expect(block.call(request).options).to eq(timeout: 5)
    end

    it "shows a subclass with its own method and timeout" do
      inside = "[SearchProxy, Rack::StreamingProxy::Proxy].map(&:timeout).inspect"
      server = start_example(:subclass, upstream, inside:)
      expect(get(server, "/search/a?b=c").body).to eq("upstream /search/a?b=c")
      expect(get(server, "/other").body).to eq("[5, 30]")
    end
  end

  it "shows how to proxy from any Rack code" do
    upstream = serving { |request| [200, {}, "upstream #{request.head.target}"] }
    server = start_example(:forward, upstream)
    expect(get(server, "/reports/a").body).to eq("upstream /all")
    expect(get(server, "/other").body).to eq("inside")
  end

  it "shows settings that set one header and clear another" do
    upstream = serving { [200, {}, "upstream"] }
    server = start_example(:settings, upstream)
    expect(get(server, "/a?b=c", "Cookie" => "d=e", "X-Seen" => "yes").body).to eq("upstream")
    head = upstream.wait_for_request
    expect([head.target, head["X-Api-Key"], head["X-Seen"]]).to eq(["/a?b=c", "k", "yes"])
    expect(head.names).not_to include("cookie")
    _, options, = use_of(code(:settings))
    expect(options).to include(timeout: 10)
  end

  it "shows a client certificate to an upstream that demands one" do
    authority = TestAuthority.new
    client = authority.issue("client")
    upstream = serving(tls: authority.strict_context) { |request| [200, {}, request.head.target] }
    files = { "ca.pem" => authority.file, "client.pem" => client.file,
              "client.key" => client.key_file }
    expect(get(start_example(:tls, upstream, files:), "/a?b").body).to eq("/a?b")
    shown = upstream.connections.map { |connection| connection.io.peer_cert.serial }
    expect(shown).to eq([client.certificate.serial])
  end

  it "shows destinations that a client's URL cannot leave" do
    upstream = serving { [200, {}, "private"] }
    server = start_example(:destinations, upstream)
    expect(get(server, "/fetch?url=#{upstream.url}").status).to eq(502)
    expect(get(server, "/other").body).to eq("inside")
    expect(upstream.connections).to be_empty
  end

  describe "on rescuing" do
    def rescued(app)
      Struct.new(:app, :env).new(app, env_for).instance_eval(code(:rescue))
    end

    it "prints class, status, upstream and message" do
      port = closed_port
      app = bare(raise_on_error: true) { "http://127.0.0.1:#{port}/" }
      expect { rescued(app) }.to output(<<~TEXT).to_stderr
        Rack::StreamingProxy::ConnectError 502 http://127.0.0.1:#{port}: upstream http://127.0.0.1:#{port} refused the connection (ECONNREFUSED)
      TEXT
    end

    it "leaves the application's own exceptions alone" do
      expect { rescued(->(_env) { raise "app error" }) }.to raise_error(RuntimeError, "app error")
    end
  end

  # The engine takes note of an end a moment after Ruby has seen it.
  it "shows the stats of a process that has made a request" do
    shown = code(:stats)[/# => (.*)/, 1].scan(/(\w+)(?:=>|: )(\d+)/)
    upstream = serving { [200, {}, "12345"] }
    result = RubyScript.run(<<~RUBY, env: { "UPSTREAM" => upstream.url })
      require "rack/mock"
      app = Rack::StreamingProxy::Proxy.new(proc {}, logger: Logger.new(nil)) { ENV["UPSTREAM"] }
      app.call(Rack::MockRequest.env_for("/")).last.tap { |body| body.each {} }.close
      stats = nil
      500.times do
        stats = begin
          #{code(:stats)}
        end
        break if stats.values == [#{shown.map { |_, value| "#{value}, " }.join}{}]
        sleep 0.01
      end
      stats.except(:errors).each { |name, value| puts "\#{name} \#{value}" }
    RUBY
    expect(result.output.lines.map(&:split)).to eq(shown)
  end

  it "names commands that are there" do
    %i[demo tests].each do |name|
      command = code(name).delete_prefix("$ ").chomp
      expect(File.executable?(File.join(RubyProcess::ROOT, command))).to be(true), command
    end
  end
end
