# frozen_string_literal: true

# The rows of ResponseMatrix.
ResponseMatrix.fill do
  chunked = "Transfer-Encoding: chunked"
  abc = "3\r\nabc\r\n0\r\n\r\n"

  # Length fields (RFC 9112 section 6.3)
  passes "a length", response("Content-Length: 3", body: "abc"), "abc", announced: 3
  passes "chunks", response(chunked, body: abc), "abc"
  passes "chunks in capitals, with space", response("TRANSFER-ENCODING: \t CHUNKED \t", body: abc),
         "abc"
  passes "a length and then chunks", response("Content-Length: 30", chunked, body: abc), "abc",
         reused: false
  passes "chunks and then a length", response(chunked, "Content-Length: 30", body: abc), "abc",
         reused: false
  passes "chunks and the right length", response(chunked, "Content-Length: 3", body: abc), "abc",
         reused: false
  passes "a length twice", response("Content-Length: 3", "Content-Length: 3", body: "abc"), "abc",
         announced: 3
  passes "a length twice in a line", response("Content-Length: 3, 3", body: "abc"), "abc",
         announced: 3
  passes "no length, to the connection's end", response(body: "abc"), "abc",
         closes: true, reused: false
  ["gzip, chunked", "chunked, gzip", "identity", "chunked, chunked", "xchunked", "chunked;q=1",
   "", ",chunked", "chunked,", "\"chunked\""].each do |coding|
    refuses "Transfer-Encoding #{coding.inspect}",
            response("Transfer-Encoding: #{coding}", body: abc)
  end
  refuses "Transfer-Encoding twice", response(chunked, chunked, body: abc)
  refuses "Transfer-Encoding identity and chunked",
          response("Transfer-Encoding: identity", chunked, body: abc)
  refuses "chunks in HTTP/1.0", response(chunked, body: abc, version: "1.0")
  refuses "chunks in HTTP/1.0 with keep-alive",
          response(chunked, "Connection: keep-alive", body: abc, version: "1.0")
  ["+3", "-1", "0x3", "3.0", "3 3", "", "3,", "3, 4", "3;", "9" * 20, (2**63).to_s].each do |length|
    refuses "Content-Length #{length.inspect}", response("Content-Length: #{length}", body: "abc")
  end
  refuses "lengths that differ", response("Content-Length: 3", "Content-Length: 4", body: "abcd")

  # Bodies
  cuts "3 of 10 bytes", response("Content-Length: 10", body: "abc"), "abc",
       closes: true, announced: 10
  cuts "chunks without the last", response(chunked, body: "3\r\nabc\r\n"), "abc", closes: true
  cuts "chunks that end amid one", response(chunked, body: "3\r\nabc\r\n5\r\nde"), "abcde",
       closes: true
  cuts "chunks without the last line", response(chunked, body: "3\r\nabc\r\n0\r\n"), "abc",
       closes: true
  cuts "a bad chunk size", response(chunked, body: "3\r\nabc\r\nxyz\r\n"), "abc"
  cuts "a chunk size with a sign", response(chunked, body: "3\r\nabc\r\n+3\r\nabc\r\n"), "abc"
  cuts "a chunk size with 0x", response(chunked, body: "3\r\nabc\r\n0x3\r\nabc\r\n"), "abc"
  cuts "a chunk size over 64 bits", response(chunked, body: "3\r\nabc\r\n#{"f" * 17}\r\nabc"), "abc"
  cuts "a chunk longer than its size", response(chunked, body: "3\r\nabcd\r\n0\r\n\r\n"), "abc"
  cuts "a bare LF after a chunk extension", response(chunked, body: "3\r\nabc\r\n3;a=b\nabc\r\n"),
       "abc"
  passes "chunk extensions", response(chunked, body: "3;a=\"b\"\r\nabc\r\n0;c\r\n\r\n"), "abc"
  passes "trailers",
         response("Trailer: X-Late", chunked, body: "3\r\nabc\r\n0\r\nX-Late: 1\r\n\r\n"),
         "abc"
  passes "bytes behind a length", response("Content-Length: 3", body: "abcHTTP/1.1 200 Again"),
         "abc", announced: 3, reused: false
  passes "a response behind the response",
         response("Content-Length: 3", body: "abc") + response("Content-Length: 5", body: "wrong"),
         "abc", announced: 3, reused: false
  passes "bytes behind the last chunk", response(chunked, body: "#{abc}more"), "abc", reused: false

  # Syntax (RFC 9112 sections 2.2, 4, 5)
  { "a folded line" => "X-Fold: a\r\n b", "a space before the colon" => "X-Space : a",
    "a bare CR" => "X-Cr: a\rb", "a NUL" => "X-Nul: a\0b", "a control" => "X-Bel: a\ab",
    "a bad name" => "X[A]: b", "an empty name" => ": b", "a line without a colon" => "nonsense",
    "chunked, spelled with a vertical tab" => "Transfer-Encoding: \vchunked",
    "a space before the colon of a length" => "Content-Length : 3" }.each do |what, line|
    refuses what, response(line, "Content-Length: 3", body: "abc")
  end
  # Go refuses them, HAProxy does not. They hold no field, and no two readings of this differ.
  passes "empty lines before the status line",
         "\r\n\r\n#{response("Content-Length: 3", body: "abc")}", "abc", announced: 3
  # HAProxy refuses it; RFC 9112 section 2.2 allows a reader to take a single LF for a line's end,
  # and no two readings of this response differ.
  passes "lines that end with LF alone", "HTTP/1.1 200 OK\nContent-Length: 3\n\nabc", "abc",
         announced: 3
  ["099", "1000", "20", "000", "2x0", "-200", " 200"].each do |status|
    refuses "the status #{status.inspect}", response("Content-Length: 0", status: "#{status} Odd")
  end
  ["1.2", "2.0", "3", "1.10"].each do |version|
    refuses "HTTP/#{version}", response("Content-Length: 0", version:)
  end
  refuses "no HTTP at all", "SSH-2.0-OpenSSH_9.2\r\n\r\n"
  refuses "HTTP/0.9", "<html></html>", closes: true
  passes "the status 999", response("Content-Length: 3", body: "abc", status: "999 Odd"), "abc",
         status: 999, announced: 3
  passes "no reason phrase", response("Content-Length: 3", body: "abc", status: "200"), "abc",
         announced: 3, id: "RS5"

  # Statuses without a body (RFC 9110 sections 15.3.5, 15.3.6, 15.4.5)
  passes "204", response(status: "204 No Content"), "", status: 204, id: "RS1"
  passes "204 with a length whose body has not come",
         response("Content-Length: 3", status: "204 No Content"), "",
         status: 204, reused: false, id: "RS1"
  passes "204 with a length and a body",
         response("Content-Length: 3", status: "204 No Content", body: "abc"), "",
         status: 204, reused: false, id: "RS1"
  passes "204 with chunks", response(chunked, status: "204 No Content", body: abc), "",
         status: 204, reused: false, id: "RS1"
  passes "304 with a length", response("Content-Length: 300", status: "304 Not Modified"), "",
         status: 304, id: "RS1"
  passes "304 with a body", response("Content-Length: 3", status: "304 Not Modified", body: "abc"),
         "", status: 304, reused: false, id: "RS1"
  passes "205 with a body", response("Content-Length: 3", status: "205 Reset", body: "abc"), "",
         status: 205, announced: 0, reused: false
  passes "205 without", response("Content-Length: 0", status: "205 Reset"), "",
         status: 205, announced: 0
  passes "a length to HEAD", response("Content-Length: 300"), "",
         verb: "HEAD", announced: 300, id: %w[RS1 RS2]
  passes "a body to HEAD", response("Content-Length: 3", body: "abc"), "",
         verb: "HEAD", announced: 3, reused: false, id: %w[RS1 RS2]

  # Interim responses
  passes "103 and three 102 before the answer",
         response("Link: </a>", status: "103 Early Hints") +
         (response(status: "102 Processing") * 3) + response("Content-Length: 3", body: "abc"),
         "abc", announced: 3
  refuses "101 unasked", response("Upgrade: x", "Connection: upgrade", status: "101 Switching"),
          id: "WS1"
  refuses "an interim response alone", response(status: "103 Early Hints"), closes: true

  # Connections
  passes "a field that Connection names",
         response("Connection: X-Hop", "X-Hop: 1", "Content-Length: 3", body: "abc"), "abc",
         announced: 3, id: "HH1"
  passes "Connection: close", response("Connection: close", "Content-Length: 3", body: "abc"),
         "abc", announced: 3, reused: false, id: "HH6"
  refuses "nothing", "", closes: true
  refuses "half a head", "HTTP/1.1 200 OK\r\nContent-Le", closes: true
end
