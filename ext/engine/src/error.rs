//! Why an exchange failed: what kind of failure, in which phase, at which upstream.
//!
//! A failure is a plain value so that it can cross threads and the Ruby border; the Ruby side
//! turns it into an exception. Its text never holds credentials, header values or body bytes.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use crate::tls;

/// What went wrong, which decides the status that the client sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The name could not be resolved.
    Resolve,
    /// No connection: refused, unreachable, or reset while connecting.
    Connect,
    /// The TLS handshake or the certificate failed.
    Tls,
    /// A deadline passed; [`Phase`] says which.
    Timeout,
    /// The upstream broke HTTP, or ended the connection where it may not.
    Protocol,
    /// The destination policy refuses the address.
    Destination,
    /// No connection came free in time.
    Overloaded,
    /// The client's request head cannot be sent as HTTP.
    RequestHead,
    /// The request has passed this library too often.
    Loop,
    /// The client's request body ended early or was too long.
    RequestBody,
    /// The client left.
    ClientGone,
    /// A defect of this library.
    Internal,
}

/// Where in the exchange it went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Resolving, connecting.
    Connect,
    /// The TLS handshake.
    Tls,
    /// Sending the request, or waiting for the response head.
    Head,
    /// Reading the response body.
    Body,
    /// Nothing moved for the idle timeout.
    Idle,
    /// The total deadline.
    Total,
}

impl Phase {
    /// The phase as the Ruby side names it.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Connect => "connect",
            Phase::Tls => "tls",
            Phase::Head => "head",
            Phase::Body => "body",
            Phase::Idle => "idle",
            Phase::Total => "total",
        }
    }
}

impl Kind {
    /// The kind as the Ruby side names it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Resolve => "resolve",
            Kind::Connect => "connect",
            Kind::Tls => "tls",
            Kind::Timeout => "timeout",
            Kind::Protocol => "protocol",
            Kind::Destination => "destination",
            Kind::Overloaded => "overloaded",
            Kind::RequestHead => "request_head",
            Kind::Loop => "loop",
            Kind::RequestBody => "request_body",
            Kind::ClientGone => "client_gone",
            Kind::Internal => "internal",
        }
    }
}

/// One failed exchange, told so that a person can act on it.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What went wrong.
    pub kind: Kind,
    /// Where it went wrong.
    pub phase: Phase,
    /// `scheme://host:port` of the upstream.
    pub upstream: String,
    /// What happened, as the predicate of a sentence whose subject is the upstream.
    pub detail: String,
    /// The operating system's error number behind it, if there is one.
    pub errno: Option<i32>,
}

/// What a connection reports.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransportError {
    #[error("{0}")]
    Http1(#[from] hyper::Error),
    #[error("{0}")]
    Http2(#[from] h2::Error),
}

impl TransportError {
    /// Whether the upstream said that it did not look at the request.
    pub(crate) fn is_unprocessed(&self) -> bool {
        matches!(self, TransportError::Http2(err) if crate::http2::is_unprocessed(err))
    }

    /// Whether the upstream gave this one request up, and not the connection.
    pub(crate) fn is_stream_reset(&self) -> bool {
        matches!(self, TransportError::Http2(err) if err.is_reset())
    }
}

impl Failure {
    /// A failure at `upstream` whose `detail` continues the sentence "upstream X ...".
    pub fn new(kind: Kind, phase: Phase, upstream: &str, detail: impl Into<String>) -> Self {
        Failure { kind, phase, upstream: upstream.to_owned(), detail: detail.into(), errno: None }
    }

    /// A failure behind which stands an I/O error.
    pub(crate) fn io(
        kind: Kind,
        phase: Phase,
        upstream: &str,
        what: &str,
        err: &io::Error,
    ) -> Self {
        let errno = err.raw_os_error();
        // The name of an errno is the Ruby side's to give.
        let detail = if errno.is_some() { what.to_owned() } else { format!("{what} ({err})") };
        Failure { errno, ..Failure::new(kind, phase, upstream, detail) }
    }

    /// What came when HTTP/2 was to begin.
    pub(crate) fn http2_refused(upstream: &str, err: &h2::Error) -> Self {
        if let Some(broken) = broken_tls_under_http2(err) {
            return Failure::new(Kind::Tls, Phase::Tls, upstream, broken);
        }
        let detail = format!("does not speak HTTP/2: {err}");
        Failure::new(Kind::Protocol, Phase::Connect, upstream, detail)
    }

    /// What is reported while the head is awaited or the body is read.
    pub(crate) fn transport(phase: Phase, upstream: &str, err: &TransportError) -> Self {
        match err {
            TransportError::Http1(err) => Failure::http1(phase, upstream, err),
            TransportError::Http2(err) => Failure::http2(phase, upstream, err),
        }
    }

    fn http1(phase: Phase, upstream: &str, err: &hyper::Error) -> Self {
        if let Some(broken) = broken_tls(phase, err) {
            return Failure::new(Kind::Tls, Phase::Tls, upstream, broken);
        }
        if let Some(io) = source_of::<io::Error>(err) {
            return Failure::lost(phase, upstream, io);
        }
        let before = before(phase);
        let detail = if err.is_parse() {
            broken_rule(err)
        } else if err.is_incomplete_message() || err.is_canceled() || err.is_closed() {
            format!("closed the connection {before}")
        } else {
            format!("failed {before}: {}", last_source(err))
        };
        Failure::new(Kind::Protocol, phase, upstream, detail)
    }

    /// A stream or a connection that ended early (RFC 9113 section 7).
    fn http2(phase: Phase, upstream: &str, err: &h2::Error) -> Self {
        if let Some(broken) = broken_tls_under_http2(err) {
            return Failure::new(Kind::Tls, Phase::Tls, upstream, broken);
        }
        if let Some(io) = err.get_io() {
            return Failure::lost(phase, upstream, io);
        }
        let before = before(phase);
        let reason = err.reason().map_or_else(|| err.to_string(), |reason| format!("{reason:?}"));
        let detail = match (err.is_remote(), err.is_go_away()) {
            (true, true) => format!("ended the HTTP/2 connection {before} (GOAWAY, {reason})"),
            (true, false) => format!("reset the HTTP/2 stream {before} ({reason})"),
            (false, _) => format!("broke HTTP/2 {before} ({reason})"),
        };
        Failure::new(Kind::Protocol, phase, upstream, detail)
    }

    fn lost(phase: Phase, upstream: &str, err: &io::Error) -> Self {
        let before = before(phase);
        let what = match err.kind() {
            // hyper's own, of the chunk coding: the connection is sound.
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => chunk_coding(err),
            io::ErrorKind::ConnectionReset => format!("reset the connection {before}"),
            io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => {
                format!("closed the connection {before}")
            }
            _ => format!("lost the connection {before}"),
        };
        Failure::io(Kind::Protocol, phase, upstream, &what, err)
    }
}

fn before(phase: Phase) -> &'static str {
    if phase == Phase::Head { "before it answered" } else { "in mid-body" }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::RequestHead | Kind::Loop | Kind::RequestBody | Kind::ClientGone => {
                write!(f, "{} (upstream {})", self.detail, self.upstream)
            }
            _ => write!(f, "upstream {} {}", self.upstream, self.detail),
        }
    }
}

impl StdError for Failure {}

fn source_of<'a, E: StdError + 'static>(err: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    // An io::Error hides a custom error from source(): it is reached through get_ref().
    let hidden = err.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    let mut next = match hidden {
        Some(inner) => Some(inner as &(dyn StdError + 'static)),
        None => err.source(),
    };
    while let Some(source) = next {
        if let Some(found) = source.downcast_ref::<E>() {
            return Some(found);
        }
        next = match source.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner as &(dyn StdError + 'static)),
            None => source.source(),
        };
    }
    None
}

/// What broke TLS, such as our certificate. In a body that kind of error is hyper's own, of chunks.
fn broken_tls(phase: Phase, err: &hyper::Error) -> Option<String> {
    if let Some(broken) = source_of::<tls::Broken>(err) {
        return Some(broken.to_string());
    }
    let io = source_of::<io::Error>(err).filter(|_| phase != Phase::Body);
    io.filter(|io| io.kind() == io::ErrorKind::InvalidData).map(ToString::to_string)
}

/// The same, of which h2 leaves kind and text.
fn broken_tls_under_http2(err: &h2::Error) -> Option<String> {
    let io = err.get_io().filter(|io| io.kind() == io::ErrorKind::InvalidData);
    io.map(ToString::to_string)
}

/// Which rule a response's head broke, from hyper's words.
fn broken_rule(err: &hyper::Error) -> String {
    let words = last_source(err);
    let what = match words.as_str() {
        "message head is too large" => {
            "more header lines than 1024, or 128 KiB of them (max_headers, max_header_bytes)"
        }
        "invalid HTTP version parsed" => "an answer that does not begin with HTTP/1.1 or HTTP/1.0",
        "invalid HTTP status-code parsed" => "a status that is not three digits from 100 on",
        "invalid HTTP header parsed" => {
            "a malformed header line (a bad name, space before the colon, a control character, or \
             a folded line)"
        }
        "invalid content-length parsed" => "a malformed or contradictory Content-Length",
        "unexpected transfer-encoding parsed" => "Transfer-Encoding in HTTP/1.0",
        _ => return format!("sent a malformed response: {words}"),
    };
    format!("sent {what}")
}

/// What is wrong with a chunked body, from hyper's words.
fn chunk_coding(err: &io::Error) -> String {
    let what = match err.to_string().as_str() {
        "chunk extensions over limit" => "chunk extensions of 16 KiB or more",
        "chunk trailers bytes over limit" => "trailer lines of 16 KiB or more",
        "chunk trailers count overflow" => "more trailer lines than 1024 (max_headers)",
        _ => "a malformed chunked body",
    };
    format!("sent {what}")
}

fn last_source(err: &(dyn StdError + 'static)) -> String {
    let mut last = err;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
