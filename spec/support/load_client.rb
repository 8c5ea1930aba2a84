# frozen_string_literal: true

require "digest/sha2"
require_relative "server_calls"

# One client of a ServerLoad: asks for one thing after another and tells what came.
class LoadClient
  include ServerCalls

  # Its requests go over one connection for as long as the server keeps that.
  KEPT = "short"
  SECONDS = 30

  attr_reader :kind

  # @param kind [String] a method of LoadAnswers
  # @param pause [#call] what it does in the middle of a stream
  def initialize(kind, server, port, answers, pause)
    @kind = kind
    @server = server
    @port = port
    @answers = answers
    @pause = pause
  end

  # @return [Symbol] :whole, :changed (it looks whole and is not), :left (by this client), :cut,
  #   :refused (an error page), or :nothing (the connection ended, or was refused, before any byte)
  def ask(number)
    @connection ||= RawClient.new(@server.address)
    @before = @connection.received
    send_request(number)
    read(number).tap { |came| close unless came == :whole && kept? }
  rescue Errno::ECONNREFUSED, Errno::ECONNRESET
    :nothing
  rescue RawSocket::Ended
    broken.tap { close }
  ensure
    @answers.acknowledgements(number) << :gone
  end

  def close
    @connection&.close
    @connection = nil
  end

  private

  def kept?
    kind == KEPT && @connection.head.content_length &&
      !@connection.head["Connection"].to_s.casecmp?("close")
  end

  def send_request(number)
    path = "/#{@port}/#{kind}/#{number}"
    return @connection.get(path) unless kind == "upload"

    body = "#{number} #{LoadAnswers::BULK}"
    @connection.request("POST", path, { "X-Digest" => Digest::SHA256.hexdigest(body) }, body)
  rescue Errno::EPIPE, Errno::ECONNRESET
    nil # It may have answered before it ended the connection.
  end

  def read(number)
    case kind
    when "events" then read_events(number)
    when "endless" then begin_reading { @connection.read_chunk(within: SECONDS) && :left }
    else judge(outcome(@connection, within: SECONDS))
    end
  end

  # Acknowledges each event.
  def read_events(number)
    begin_reading do
      body = +""
      LoadAnswers::EVENTS.times do |event|
        until body.count(";") > event
          body << (@connection.read_chunk(within: SECONDS) or return :changed)
        end
        @pause.call
        @answers.acknowledgements(number) << :seen
      end
      judge(outcome(@connection, begun: body, within: SECONDS))
    end
  end

  def begin_reading
    return :refused if @connection.read_head(within: SECONDS).status >= 500

    yield || :changed
  end

  def judge(seen)
    return broken unless seen.whole
    return :refused if seen.status >= 500

    Digest::SHA256.hexdigest(seen.body) == seen.head["X-Digest"] ? :whole : :changed
  end

  # What a response is that ended early.
  def broken
    return :nothing if @connection.received == @before

    head = @connection.head
    framed = !head || head.chunked? || head.content_length
    framed || @connection.ending == :reset ? :cut : :changed
  end
end
