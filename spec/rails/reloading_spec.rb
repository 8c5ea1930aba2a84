# frozen_string_literal: true

RSpec.describe "Reloading in development while a response streams" do
  include RailsRequests

  # One stream is open when the block is called, and goes on after it.
  def with_open_stream(insert)
    gate = EventQueue.new
    upstream = start_upstream do |connection|
      connection.read_head
      connection.begin_chunked
      connection.chunk("before")
      gate.pop
      connection.chunk("after")
      connection.end_chunked
    end
    server = start_rails(initializer(insert:), upstream:, environment: "development")
    expect(get(server, "/greeting").body).to eq("hello")
    change("changed by the stream's own request")
    client = connect(server)
    client.get("/search")
    client.read_head
    expect(client.read_chunk).to eq("before")
    yield server
    gate << true
    expect([client.read_chunk, client.read_chunk]).to eq(["after", nil])
    server
  end

  def change(text)
    path = @application.path("app/models/greeting.rb")
    File.write(path, File.read(path).sub(/TEXT = ".*"/, "TEXT = #{text.inspect}"))
  end

  ["insert_before Rack::Head, ", "insert_before ActionDispatch::Executor, "].each do |insert|
    it "does not wait for the stream with #{insert.delete_suffix(", ")}" do
      server = with_open_stream(insert) do |server|
        2.times do |number|
          change("changed #{number}")
          expect(get(server, "/greeting").body).to eq("changed #{number}")
        end
      end
      change("changed again")
      expect(get(server, "/greeting").body).to eq("changed again")
    end
  end
end
