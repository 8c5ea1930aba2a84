# frozen_string_literal: true

RSpec.describe "Reloading in development while a response streams" do
  include RailsRequests

  def ticking_upstream
    @tick = EventQueue.new
    start_upstream do |connection|
      connection.read_head
      connection.begin_chunked
      connection.chunk("before")
      @tick.pop(within: 30)
      connection.chunk("after")
      connection.end_chunked
    end
  end

  # One stream is open when the block is called, and goes on after it.
  def with_open_stream
    client = connect(@server)
    client.get("/search")
    client.read_head
    expect(client.read_chunk).to eq("before")
    yield
    @tick << true
    expect([client.read_chunk, client.read_chunk]).to eq(["after", nil])
  end

  def change(text)
    path = @application.path("app/models/greeting.rb")
    File.write(path, File.read(path).sub(/TEXT = ".*"/, "TEXT = #{text.inspect}"))
  end

  def greeting
    get(@server, "/greeting").body
  end

  ["insert_before Rack::Head, ", "insert_before ActionDispatch::Executor, "].each do |insert|
    it "does not wait for the stream with #{insert.delete_suffix(", ")}" do
      @server = start_rails(initializer(insert:), upstream: ticking_upstream,
                                                  environment: "development")
      expect(greeting).to eq("hello")
      change("changed by the time the stream begins")
      with_open_stream do
        2.times do |number|
          change("changed #{number}")
          expect(greeting).to eq("changed #{number}")
        end
      end
      change("changed again")
      expect(greeting).to eq("changed again")
    end
  end
end
