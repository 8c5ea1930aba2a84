# frozen_string_literal: true

module Demo
  # One rackup file on a Puma process of its own, on a free loopback port. What Puma prints goes to
  # a log file. The process is not in the terminal's foreground group: Ctrl-C reaches only the demo,
  # which then stops its servers in order.
  class Server
    # A server that did not come up; the message holds what it printed.
    class NotStarted < StandardError
    end

    PATIENCE = 30
    PUMA = %w[puma -C - -e production -t 0:8 -b tcp://127.0.0.1:0].freeze
    # Puma would make a cluster of this one; the demo measures one process.
    ENVIRONMENT = { "WEB_CONCURRENCY" => nil }.freeze

    attr_reader :name, :port, :pid

    # Starts the process and waits until it listens.
    #
    # @param name [String] what the demo calls it
    # @param rackup [String] the path of its rackup file
    # @param log [String] the path of its log, to be made
    # @param gone [Queue] gets this server when its process has ended
    # @param environment [Hash] variables for it
    # @raise [NotStarted]
    def initialize(name, rackup, log:, gone:, environment: {})
      @name = name
      @log = File.open(log, "w+")
      @output, writer = IO.pipe
      @pid = Process.spawn(ENVIRONMENT.merge(environment), *PUMA, rackup,
                           in: File::NULL, out: writer, err: writer, pgroup: true)
      writer.close
      @waiter = Process.detach(@pid)
      @port = await_port
      keep_log(gone)
    rescue SystemCallError => e
      raise NotStarted, "#{name} could not be started: #{e.message}"
    ensure
      stop unless @port || @waiter.nil?
    end

    # @return [String]
    def url
      "http://127.0.0.1:#{port}"
    end

    # @return [Boolean]
    def running?
      @waiter.alive?
    end

    # Asks the process to end and kills it when that takes more than two seconds: some versions of
    # Puma now and then hang while they close their own pipe, with any application.
    def stop
      Process.kill("INT", @pid) if running?
      return if @waiter.join(2)

      Process.kill("KILL", @pid)
      @waiter.join
    rescue Errno::ESRCH
      @waiter.join
    end

    # @return [String] how the process ended
    def ending
      status = @waiter.value
      how = status.signaled? ? "by signal #{status.termsig}" : "with status #{status.exitstatus}"
      "#{name} (process #{pid}) ended by itself, #{how}"
    end

    # @param lines [Integer]
    # @return [String] the last lines that the process printed
    def last_words(lines = 12)
      File.readlines(@log.path).last(lines).join
    end

    private

    def await_port
      deadline = Clock.now + PATIENCE
      text = +""
      until (port = text[%r{Listening on http://127\.0\.0\.1:(\d+)}, 1])
        ready = @output.wait_readable([deadline - Clock.now, 0].max)
        raise NotStarted, "#{name} did not listen in #{PATIENCE} s:\n#{text}" unless ready

        text << @output.readpartial(4096)
      end
      @log.write(text)
      @log.flush
      port.to_i
    rescue EOFError
      raise NotStarted, "#{name} ended before it listened:\n#{text}"
    end

    def keep_log(gone)
      Thread.new do
        IO.copy_stream(@output, @log)
        @waiter.join
        gone << self
      end
    end
  end
end
