//! Why an exchange failed: what kind of failure, in which phase, at which upstream.
//!
//! A failure is a plain value so that it can cross threads and the Ruby border; the Ruby side
//! turns it into an exception. Its text never holds credentials, header values or body bytes.

mod transport;

use std::error::Error as StdError;
use std::fmt;
use std::io;

pub(crate) use transport::TransportError;

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
    /// No connection came free in time, or there is no place or descriptor for what is to be done.
    Overloaded,
    /// The client's request head cannot be sent as HTTP.
    RequestHead,
    /// The request has passed this library too often.
    Loop,
    /// The client's request body ended early or was too long.
    RequestBody,
    /// The client left.
    ClientGone,
    /// The process ends.
    Shutdown,
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

const NO_DESCRIPTOR: &str = "cannot be reached while all file descriptors of this process are in \
                             use: raise its limit (ulimit -n, RLIMIT_NOFILE), or lower max_streams";
const NO_DESCRIPTOR_ANYWHERE: &str = "cannot be reached while all file descriptors of this system \
                                      are in use (fs.file-max)";

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
    /// All kinds, in their order.
    pub(crate) const ALL: [Kind; 13] = [
        Kind::Resolve,
        Kind::Connect,
        Kind::Tls,
        Kind::Timeout,
        Kind::Protocol,
        Kind::Destination,
        Kind::Overloaded,
        Kind::RequestHead,
        Kind::Loop,
        Kind::RequestBody,
        Kind::ClientGone,
        Kind::Shutdown,
        Kind::Internal,
    ];

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
            Kind::Shutdown => "shutdown",
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

impl Failure {
    /// A failure at `upstream` whose `detail` continues the sentence "upstream X ...".
    pub fn new(kind: Kind, phase: Phase, upstream: &str, detail: impl Into<String>) -> Self {
        Failure { kind, phase, upstream: upstream.to_owned(), detail: detail.into(), errno: None }
    }

    /// A failure behind which stands an I/O error: of this kind, unless what was missing is a file
    /// descriptor of our own.
    pub fn io(kind: Kind, phase: Phase, upstream: &str, what: &str, err: &io::Error) -> Self {
        let errno = err.raw_os_error();
        let (kind, what) = match errno {
            Some(libc::EMFILE) => (Kind::Overloaded, NO_DESCRIPTOR),
            Some(libc::ENFILE) => (Kind::Overloaded, NO_DESCRIPTOR_ANYWHERE),
            _ => (kind, what),
        };
        // The name of an errno is the Ruby side's to give.
        let detail = if errno.is_some() { what.to_owned() } else { format!("{what} ({err})") };
        Failure { errno, ..Failure::new(kind, phase, upstream, detail) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::RequestHead
            | Kind::Loop
            | Kind::RequestBody
            | Kind::ClientGone
            | Kind::Shutdown => {
                write!(f, "{} (upstream {})", self.detail, self.upstream)
            }
            _ => write!(f, "upstream {} {}", self.upstream, self.detail),
        }
    }
}

impl StdError for Failure {}
