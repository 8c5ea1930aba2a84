# frozen_string_literal: true

# Of Rack::ETag in Rails, spec/rails/placement_spec.rb tells.
RSpec.describe "The proxy behind Rack::ContentLength" do
  let(:tick) { EventQueue.new("tick") }
  let(:upstream) do
    start_upstream do |connection|
      connection.read_head
      connection.begin_chunked(200, "Content-Type" => "text/plain")
      3.times do |number|
        connection.chunk("tick #{number}")
        tick.pop
      end
      connection.end_chunked
    end
  end
  let(:server) do
    start_puma(RackupText.proxy(above: "use Rack::ContentLength"),
               env: { "UPSTREAM" => upstream.url("") })
  end

  def get
    connect(server).tap { |client| client.get("/") }
  end

  if Rack.release >= "3"
    it "streams live on Rack 3" do
      client = get
      client.read_head
      3.times do |number|
        expect(client.read_chunk).to eq("tick #{number}")
        tick << true
      end
      expect(client.read_chunk).to be_nil
      expect(server.output.to_s).not_to match(/ContentLength/)
    end
  else
    it "is warned of once on Rack 2, where it collects each response" do
      2.times do
        3.times { tick << true }
        get.read_response(within: 10)
      end
      expect(server.output.lines.grep(/Rack::StreamingProxy.*ContentLength/).size).to eq(1)
    end
  end
end
