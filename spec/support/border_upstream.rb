# frozen_string_literal: true

# The upstream of dev/memcheck/exchanges.rb: answers each path in a way of its own.
module BorderUpstream
  SOUND = {
    "/large" => [200, {}, "x" * 1_000_000], "/empty" => [204, {}, ""], "/" => [200, {}, "/"]
  }.freeze
  RAW = {
    "/trailers" => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" \
                   "1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n",
    "/hints" => "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" \
                "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhinted",
    "/garbage" => "garbage\r\n\r\n",
    "/tunnel" => "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n" \
                 "Upgrade: websocket\r\n\r\nglued"
  }.freeze

  module_function

  # @return [RawUpstream]
  def start
    RawUpstream.new do |connection|
      loop { answer(connection, connection.read_request(within: 120)) }
    end
  end

  def answer(connection, request)
    path = request.head.target
    return connection.write(RAW[path]) && follow(connection, path) if RAW.key?(path)
    return connection.respond(*SOUND[path]) if SOUND.key?(path)

    case path
    when "/echo" then echo(connection, request)
    when "/busy" then connection.respond(503, {}, "busy")
    when "/chunks" then in_chunks(connection)
    else leave(connection, path)
    end
  end

  # A tunnel sends back what comes.
  def follow(connection, path)
    loop { connection.write(connection.read_some(within: 120)) } if path == "/tunnel"
  end

  def echo(connection, request)
    return connection.respond(200, {}, request.body) unless request.head.request_method == "HEAD"

    connection.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
  end

  def in_chunks(connection)
    connection.begin_chunked(200, "Set-Cookie" => %w[a=1 b=2])
    5.times { |number| connection.chunk(number.to_s) }
    connection.end_chunked
  end

  # Never comes to the response's end.
  def leave(connection, path)
    unless path == "/silent"
      connection.begin_chunked
      connection.chunk("a")
    end
    path == "/cut" ? connection.close : connection.wait_for_end(within: 120)
  end
end
