# frozen_string_literal: true

RSpec.shared_examples "headers" do |profile|
  def head_with(*lines)
    upstream = start_upstream do |connection|
      connection.serve { "HTTP/1.1 200 OK\r\n#{lines.join("\r\n")}\r\nContent-Length: 0\r\n\r\n" }
    end
    ask(upstream).read_head
  end

  it "keeps each Set-Cookie, in their order", id: "HH9" do
    cookies = ["a=1; Path=/", "b=2; Expires=Wed, 09 Jun 2027 10:18:14 GMT", "c=3"]
    head = head_with(*cookies.map { |cookie| "Set-Cookie: #{cookie}" })
    expect(head.all("Set-Cookie")).to eq(cookies)
  end

  if profile.can?(:several_values)
    it "keeps each line of another header", feature: :several_values do
      head = head_with("X-Several: one", "X-Several: two, three")
      expect(head.all("X-Several")).to eq(["one", "two, three"])
    end
  else
    it "joins the lines of another header with commas", feature: :several_values do
      head = head_with("X-Several: one", "X-Several: two, three")
      expect(head.all("X-Several").map { |line| line.split(/, ?/) }).to eq([%w[one two three]])
    end
  end

  it "lets no header through that would tell the server what to do", id: "SS5" do
    head = head_with("Status: 404 No", "Rack.Hijack: x", "X-Kept: yes", "X-Accel-Redirect: /etc")
    expect([head.status, head["X-Kept"]]).to eq([200, "yes"])
    expect(head.names).not_to include("rack.hijack", "x-accel-redirect")
    expect(head.all("Status")).to all(start_with("200"))
  end

  it "keeps bytes over 0x7F in values" do
    expect(head_with("X-Name: M\xC3\xBCller")["X-Name"].b).to eq("M\xC3\xBCller".b)
  end
end
