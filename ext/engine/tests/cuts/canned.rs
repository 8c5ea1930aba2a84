//! Responses whose every byte is known for what it is.

/// A piece of a response.
pub(crate) enum Part {
    /// Heads, interim ones included.
    Head(String),
    /// What frames the body, trailers included.
    Frame(&'static str),
    /// Bytes of the body.
    Data(String),
    /// Bytes after the message's end.
    Extra(&'static str),
}

/// What ends the message.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum End {
    /// Its own framing; the connection may serve on.
    Framed,
    /// Its own framing; the connection may not serve on.
    FramedLast,
    /// The end of the connection.
    Connection,
}

/// One response.
pub(crate) struct Canned {
    pub(crate) name: &'static str,
    pub(crate) method: &'static str,
    pub(crate) end: End,
    parts: Vec<Part>,
}

/// What the first bytes of a response bring.
#[derive(Debug)]
pub(crate) struct Brought {
    pub(crate) head: bool,
    pub(crate) body: Vec<u8>,
    pub(crate) whole: bool,
    /// Whether the connection may serve on after exactly so many bytes.
    pub(crate) serves_on: bool,
}

impl Part {
    fn bytes(&self) -> &[u8] {
        match self {
            Part::Head(text) | Part::Data(text) => text.as_bytes(),
            Part::Frame(text) | Part::Extra(text) => text.as_bytes(),
        }
    }
}

impl Canned {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.parts.iter().flat_map(|part| part.bytes().to_vec()).collect()
    }

    pub(crate) fn brought_by(&self, offset: usize) -> Brought {
        let (mut at, mut head, mut end, mut body) = (0, 0, 0, Vec::new());
        for part in &self.parts {
            let bytes = part.bytes();
            let came = offset.saturating_sub(at).min(bytes.len());
            at += bytes.len();
            match part {
                Part::Head(_) => (head, end) = (at, at),
                Part::Frame(_) => end = at,
                Part::Data(_) => {
                    end = at;
                    body.extend_from_slice(&bytes[..came]);
                }
                Part::Extra(_) => {}
            }
        }
        let whole = self.end != End::Connection && offset >= end;
        let serves_on = self.end == End::Framed && offset == end;
        Brought { head: offset >= head, body, whole, serves_on }
    }
}

fn canned(name: &'static str, end: End, head: &str, rest: Vec<Part>) -> Canned {
    let mut parts = vec![Part::Head(format!("{}\r\n\r\n", head.replace('\n', "\r\n")))];
    parts.extend(rest);
    Canned { name, method: "GET", end, parts }
}

fn to_head(name: &'static str, head: &str, rest: Vec<Part>) -> Canned {
    Canned { method: "HEAD", ..canned(name, End::Framed, head, rest) }
}

/// The canned responses.
pub(crate) fn all() -> Vec<Canned> {
    let mut all = bodyless();
    all.extend(with_length());
    all.extend(chunked());
    all.extend(until_the_end());
    all
}

fn data(text: &str) -> Part {
    Part::Data(text.to_owned())
}

fn bodyless() -> Vec<Canned> {
    use End::Framed;
    let ok = "HTTP/1.1 200 OK";
    vec![
        canned("length 0", Framed, &format!("{ok}\nContent-Length: 0"), vec![]),
        canned("204", Framed, "HTTP/1.1 204 No Content", vec![]),
        canned("304", Framed, "HTTP/1.1 304 Not Modified\nETag: \"e\"", vec![]),
        canned("304 with length", Framed, "HTTP/1.1 304 Not Modified\nContent-Length: 9", vec![]),
        canned("205", Framed, "HTTP/1.1 205 Reset Content\nContent-Length: 0", vec![]),
        to_head("HEAD with length", &format!("{ok}\nContent-Length: 9"), vec![]),
        to_head("HEAD chunked", &format!("{ok}\nTransfer-Encoding: chunked"), vec![]),
        to_head(
            "HEAD with a body all the same",
            &format!("{ok}\nContent-Length: 9"),
            vec![Part::Extra("forbidden")],
        ),
        canned(
            "204 with a body all the same",
            Framed,
            "HTTP/1.1 204 No Content",
            vec![Part::Extra("forbidden")],
        ),
    ]
}

fn with_length() -> Vec<Canned> {
    use End::{Framed, FramedLast};
    let ok = "HTTP/1.1 200 OK";
    let long = "Long: ".to_owned() + &"l".repeat(200) + "\n";
    let interim = "HTTP/1.1 100 Continue\n\nHTTP/1.1 103 Early Hints\nLink: </a>\n\n";
    vec![
        canned("length", Framed, &format!("{ok}\nContent-Length: 10"), vec![data("0123456789")]),
        canned(
            "length, more follows",
            Framed,
            &format!("{ok}\nContent-Length: 4"),
            vec![data("body"), Part::Extra("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nspoof")],
        ),
        canned(
            "length, close",
            FramedLast,
            &format!("{ok}\nConnection: Close\nContent-Length: 4"),
            vec![data("body")],
        ),
        canned(
            "length after interim heads",
            Framed,
            &format!("{interim}{ok}\nContent-Length: 4"),
            vec![data("body")],
        ),
        canned(
            "length after a big head",
            Framed,
            &format!("{ok}\n{}Content-Length: 4", long.repeat(5)),
            vec![data("body")],
        ),
        canned(
            "length, HTTP/1.0, kept alive",
            Framed,
            "HTTP/1.0 200 OK\nConnection: keep-alive\nContent-Length: 4",
            vec![data("body")],
        ),
        canned(
            "length, HTTP/1.0",
            FramedLast,
            "HTTP/1.0 404 Not Found\nContent-Length: 4",
            vec![data("body")],
        ),
        canned("length, 500", Framed, "HTTP/1.1 500 No\nContent-Length: 4", vec![data("body")]),
    ]
}

fn chunked() -> Vec<Canned> {
    use End::{Framed, FramedLast};
    let head = "HTTP/1.1 200 OK\nTransfer-Encoding: chunked";
    let last = || Part::Frame("\r\n0\r\n\r\n");
    let many = (0..40).flat_map(|_| [Part::Frame("1\r\n"), data("x"), Part::Frame("\r\n")]);
    vec![
        canned("one chunk", Framed, head, vec![Part::Frame("5\r\n"), data("chunk"), last()]),
        canned(
            "two chunks, odd sizes",
            Framed,
            head,
            vec![
                Part::Frame("0000A\r\n"),
                data("0123456789"),
                Part::Frame("\r\nb\r\n"),
                data("0123456789a"),
                last(),
            ],
        ),
        canned("no chunk", Framed, head, vec![Part::Frame("0\r\n\r\n")]),
        canned(
            "many chunks",
            Framed,
            head,
            many.chain([Part::Frame("0\r\n\r\n")]).collect::<Vec<_>>(),
        ),
        canned(
            "chunk extensions",
            Framed,
            head,
            vec![
                Part::Frame("4;name=\"a value\";other\r\n"),
                data("body"),
                Part::Frame("\r\n0;last\r\n\r\n"),
            ],
        ),
        canned(
            "trailers",
            Framed,
            &format!("{head}\nTrailer: X-Sum"),
            vec![
                Part::Frame("4\r\n"),
                data("body"),
                Part::Frame("\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n"),
            ],
        ),
        canned(
            "chunks that look like an end",
            Framed,
            head,
            vec![Part::Frame("c\r\n"), data("\r\n0\r\n\r\n0\r\n\r\n"), last()],
        ),
        canned(
            "chunked beside a length",
            FramedLast,
            &format!("{head}\nContent-Length: 4"),
            vec![Part::Frame("4\r\n"), data("body"), last()],
        ),
        canned(
            "chunked, more follows",
            Framed,
            head,
            vec![Part::Frame("4\r\n"), data("body"), last(), Part::Extra("4\r\nmore\r\n0\r\n\r\n")],
        ),
    ]
}

fn until_the_end() -> Vec<Canned> {
    use End::Connection;
    vec![
        canned("until the end", Connection, "HTTP/1.1 200 OK\nX: y", vec![data("0123456789")]),
        canned("until the end, HTTP/1.0", Connection, "HTTP/1.0 200 OK", vec![data("0123456789")]),
        canned(
            "until the end, close",
            Connection,
            "HTTP/1.1 200 OK\nConnection: close",
            vec![data("HTTP/1.1 200 OK\r\n\r\n0\r\n\r\n")],
        ),
    ]
}
