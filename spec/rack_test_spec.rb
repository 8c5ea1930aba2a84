# frozen_string_literal: true

# What users of 2.x test their applications with.
RSpec.describe Rack::StreamingProxy::Proxy, "under rack-test" do
  include Rack::Test::Methods

  let(:upstream) do
    serving do |request|
      [200, { "Content-Type" => "text/plain" }, request.head.raw + request.body]
    end
  end

  let(:app) do
    url = upstream.url("")
    Rack::Builder.new do
      use Rack::Lint
      use(Rack::StreamingProxy::Proxy, logger: Logger.new(nil)) do |request|
        "#{url}#{request.fullpath}" unless request.path.start_with?("/not_proxied")
      end
      run InnerApp
    end.to_app
  end

  it "passes through to the rest of the stack when the block returns nothing" do
    get "/not_proxied"
    expect(last_response).to be_ok
    expect(last_response.body).to eq("not proxied")
  end

  %w[get post put patch delete options].each do |verb|
    it "proxies #{verb.upcase}" do
      public_send(verb, "/env")
      expect(last_response).to be_ok
      expect(last_response.body).to start_with("#{verb.upcase} /env HTTP/1.1\r\n")
    end
  end

  it "preserves the form of a POST" do
    post "/env", "foo" => "bar"
    expect(last_response.body).to match(%r{^content-type: application/x-www-form-urlencoded}i)
    expect(last_response.body).to end_with("foo=bar")
  end

  it "preserves the query" do
    get "/env", "a" => "1", "b" => "2 3"
    expect(last_response.body).to start_with("GET /env?a=1&b=2+3 HTTP/1.1")
  end

  it "preserves cookies" do
    set_cookie "foo=1"
    set_cookie "bar=2"
    post "/env"
    expect(last_response.body).to match(/^cookie: foo=1; ?bar=2|^cookie: bar=2; ?foo=1/i)
  end

  it "preserves authentication" do
    basic_authorize "admin", "secret"
    get "/env"
    expect(last_response.body).to match(/^authorization: Basic YWRtaW46c2VjcmV0\r$/i)
  end

  it "preserves arbitrary headers and the mark of an XMLHttpRequest" do
    header "X-Fooheader", "Bar"
    get "/env", {}, "HTTP_X_REQUESTED_WITH" => "XMLHttpRequest"
    expect(last_response.body).to match(/^x-fooheader: Bar\r$/i)
    expect(last_response.body).to match(/^x-requested-with: XMLHttpRequest\r$/i)
  end

  it "says for whom it forwards" do
    get "/env"
    expect(last_response.body).to match(/^x-forwarded-for: 127\.0\.0\.1\r$/i)
  end
end
