//! The upstream's side of requests with a body: read strictly, cut, or answered early.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::upstream::{Upstream, answer, reset_on_close};

/// How long a proxy may keep a connection that its upstream has ended.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of each request's body, framing included, that have come so far.
pub(crate) type Arrived = watch::Sender<HashMap<String, usize>>;

/// What the upstream does once so many bytes have come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Deed {
    /// Answers when the body is whole.
    Answer,
    Fin,
    Reset,
    /// Answers at once and reads on.
    Refuse,
    AnswerEarly,
}

impl Deed {
    fn parse(name: &str) -> Self {
        [Deed::Answer, Deed::Fin, Deed::Reset, Deed::Refuse, Deed::AnswerEarly]
            .into_iter()
            .find(|deed| format!("{deed:?}") == name)
            .expect("a deed")
    }
}

struct Request<'a> {
    head: String,
    path: &'a str,
    wire: Vec<u8>,
}

/// Serves `/upload/<deed>/<bytes>/<expected body's length or ->/...`; whether to serve on.
pub(crate) async fn serve(
    stream: &mut BufReader<TcpStream>,
    head: String,
    path: &str,
    upstream: &Upstream,
) -> io::Result<bool> {
    let parts: Vec<_> = path.split('/').collect();
    let (deed, wanted) = (Deed::parse(parts[2]), parts[3].parse().expect("a count"));
    let mut request = Request { head, path, wire: Vec::new() };
    let limit = if deed == Deed::Answer { usize::MAX } else { wanted };
    let whole = request.read(stream, limit, upstream).await?;
    match (deed, whole) {
        (Deed::Fin, _) => {
            stream.get_mut().shutdown().await?;
            see_it_leave(stream, path, upstream).await;
            Ok(false)
        }
        (Deed::Reset, _) => {
            reset_on_close(stream.get_ref());
            Ok(false)
        }
        (Deed::Refuse | Deed::AnswerEarly, _) => {
            let status = if deed == Deed::Refuse { "413 Too Large" } else { "200 OK" };
            answer(stream, status, b"early").await?;
            Ok(request.read(stream, usize::MAX, upstream).await?.is_some())
        }
        (Deed::Answer, Some(body)) => {
            if parts[4] != body.len().to_string() {
                upstream.violated(format!("{path} was whole with {} bytes", body.len()));
            }
            answer(stream, "200 OK", body.len().to_string().as_bytes()).await?;
            Ok(true)
        }
        (Deed::Answer, None) => Ok(false),
    }
}

impl Request<'_> {
    /// Reads until the body is whole, `limit` bytes have come or the connection ends.
    async fn read(
        &mut self,
        stream: &mut BufReader<TcpStream>,
        limit: usize,
        upstream: &Upstream,
    ) -> io::Result<Option<Vec<u8>>> {
        loop {
            let whole = whole_body(&self.head, &self.wire);
            if whole.is_some() || self.wire.len() >= limit {
                return Ok(whole.map(|(body, _)| body));
            }
            let here = stream.fill_buf().await?;
            if here.is_empty() {
                return Ok(None);
            }
            let before = self.wire.len();
            self.wire.extend_from_slice(&here[..here.len().min(limit - before)]);
            // After the body's end another request may follow.
            if let Some((_, end)) = whole_body(&self.head, &self.wire) {
                self.wire.truncate(end);
            }
            stream.consume(self.wire.len() - before);
            upstream.arrived.send_modify(|arrived| {
                arrived.insert(self.path.to_owned(), self.wire.len());
            });
        }
    }
}

async fn see_it_leave(stream: &mut BufReader<TcpStream>, path: &str, upstream: &Upstream) {
    let leaving = async {
        while let Ok(here) = stream.fill_buf().await {
            if here.is_empty() {
                break;
            }
            let len = here.len();
            stream.consume(len);
        }
    };
    if timeout(PATIENCE, leaving).await.is_err() {
        upstream.violated(format!("{path}: the connection was kept"));
    }
}

/// The body, if its framing says that it is whole, and where it ends.
fn whole_body(head: &str, wire: &[u8]) -> Option<(Vec<u8>, usize)> {
    let head = head.to_ascii_lowercase();
    let field = |name: &str| {
        let mut values = head.lines().filter_map(|line| line.strip_prefix(name));
        let value = values.next();
        assert_eq!(values.next(), None, "{name} twice");
        value.map(|value| value.trim().to_owned())
    };
    match (field("content-length:"), field("transfer-encoding:")) {
        (Some(length), None) => {
            let length: usize = length.parse().expect("a length");
            wire.get(..length).map(|body| (body.to_vec(), length))
        }
        (None, Some(coding)) => {
            assert_eq!(coding, "chunked");
            whole_chunks(wire)
        }
        other => panic!("framed {other:?}"),
    }
}

fn whole_chunks(wire: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let line = wire[at..].windows(2).position(|pair| pair == b"\r\n")?;
        let size = std::str::from_utf8(&wire[at..at + line]).expect("text");
        let size = usize::from_str_radix(size, 16).expect("a chunk's size");
        let start = at + line + 2;
        at = start + size + 2;
        let chunk = wire.get(start..at)?;
        assert_eq!(&chunk[size..], b"\r\n", "a chunk's end");
        if size == 0 {
            return Some((body, at));
        }
        body.extend_from_slice(&chunk[..size]);
    }
}
