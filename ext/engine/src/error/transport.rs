//! What hyper and h2 report, told as failures.

use std::error::Error as StdError;
use std::io;

use super::{Failure, Kind, Phase};
use crate::tls;

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
    /// What came when HTTP/2 was to begin.
    pub(crate) fn http2_refused(upstream: &str, err: &h2::Error) -> Self {
        if let Some(broken) = broken_tls_under_http2(err) {
            return Failure::new(Kind::Tls, Phase::Tls, upstream, broken);
        }
        let detail = format!("does not speak HTTP/2: set http2 to :auto or :never ({err})");
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
