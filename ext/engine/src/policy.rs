//! What the configuration asks of one exchange.

use std::path::PathBuf;
use std::time::Duration;

use crate::chunks::QUEUE;
use crate::destination::Destinations;
use crate::headers::{FieldOverride, Forwarding};

/// The settings of an exchange; frozen once resolved and shared by all that use them.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The clocks.
    pub timeouts: Timeouts,
    /// Retries after a 5xx.
    pub retry: Retry,
    /// Host, X-Forwarded-* and Via.
    pub forwarding: Forwarding,
    /// Fields that the configuration sets or clears.
    pub overrides: Vec<FieldOverride>,
    /// Whether the upstream may steer the front server (X-Accel-Redirect and its like).
    pub trust_upstream: bool,
    /// How an https upstream is spoken to.
    pub tls: TlsSettings,
    /// When HTTP/2 is spoken.
    pub http2: Http2,
    /// A Unix socket to connect to instead of the URL's host and port.
    pub socket: Option<PathBuf>,
    /// Which addresses may be connected to.
    pub destinations: Destinations,
    /// What an upstream may send.
    pub limits: Limits,
    /// How connections are kept.
    pub pool: PoolSettings,
    /// Bytes of a response's body that are fetched before anybody reads it, about.
    pub read_ahead: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            timeouts: Timeouts::default(),
            retry: Retry::default(),
            forwarding: Forwarding::default(),
            overrides: Vec::new(),
            trust_upstream: false,
            tls: TlsSettings::default(),
            http2: Http2::default(),
            socket: None,
            destinations: Destinations::default(),
            limits: Limits::default(),
            pool: PoolSettings::default(),
            read_ahead: QUEUE,
        }
    }
}

/// Each clock runs between two moments; `None` means that it does not run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timeouts {
    /// From the wish to connect to the end of the TLS handshake, for each attempt.
    pub connect: Option<Duration>,
    /// From the last byte of the request to the response head, for each attempt. Zero has passed
    /// before it began.
    pub head: Option<Duration>,
    /// From one byte, in either direction, to the next. Stands still while the client is slow.
    pub idle: Option<Duration>,
    /// From the start to the last byte of the response, all attempts and delays included.
    pub total: Option<Duration>,
}

/// Retries after a 5xx answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Retry {
    /// Attempts after the first.
    pub on_5xx: u32,
    /// How long to wait before each.
    pub delay: Duration,
}

/// How an https upstream is spoken to. Part of a connection's identity, and of a TLS session's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TlsSettings {
    /// Whether certificate and host name are checked.
    pub verify: bool,
    /// A PEM file whose certificates replace the system's roots.
    pub ca_file: Option<PathBuf>,
    /// The name in the handshake.
    pub sni: Sni,
    /// The certificate that we show.
    pub identity: Option<ClientIdentity>,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
}

impl Default for TlsSettings {
    fn default() -> Self {
        TlsSettings {
            verify: true,
            ca_file: None,
            sni: Sni::default(),
            identity: None,
            min_version: TlsVersion::default(),
        }
    }
}

/// The server name in a TLS handshake (RFC 6066 section 3).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Sni {
    /// The URL's host.
    #[default]
    Url,
    /// None; the certificate is still checked against the URL's host.
    Off,
    /// This name, which the certificate must have too.
    Name(String),
}

/// The certificate and key that an upstream may ask for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientIdentity {
    /// A PEM file with the certificate, and those that lead to its root.
    pub certificate: PathBuf,
    /// A PEM file with its key; may be the same.
    pub key: PathBuf,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    #[default]
    V12,
    /// TLS 1.3 (RFC 8446).
    V13,
}

/// When HTTP/2 is spoken (RFC 9113 section 3). Part of a connection's identity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Http2 {
    /// Over TLS, if the upstream chooses it (ALPN).
    #[default]
    Auto,
    /// Always: without TLS by prior knowledge, with TLS nothing else is offered.
    Always,
    /// Never.
    Never,
}

/// How connections are kept, for each upstream and process.
#[derive(Clone, Copy, Debug)]
pub struct PoolSettings {
    /// At most so many idle connections.
    pub max_idle: usize,
    /// An idle connection is closed after this.
    pub idle_timeout: Duration,
    /// At most so many connections at once; further requests wait.
    pub max_connections: usize,
    /// How long a request waits for one of them.
    pub wait: Duration,
    /// At most so many requests wait.
    pub max_waiting: usize,
    /// A connection that is older serves no further request.
    pub max_age: Option<Duration>,
    /// A connection that has served so many requests serves no further one.
    pub max_requests: Option<u64>,
}

impl Default for PoolSettings {
    fn default() -> Self {
        PoolSettings {
            max_idle: 32,
            idle_timeout: Duration::from_secs(15),
            max_connections: 256,
            wait: Duration::from_secs(5),
            max_waiting: 1024,
            max_age: Some(Duration::from_secs(300)),
            max_requests: None,
        }
    }
}

/// What an upstream may send at the most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Header lines of a response, and of its trailers.
    pub headers: usize,
    /// Bytes of a response's header lines, line ends included.
    pub header_bytes: usize,
    /// 1xx responses before a final one.
    pub interim_responses: usize,
    /// Bytes of a response's body.
    pub response_body: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { headers: 256, header_bytes: 64 * 1024, interim_responses: 16, response_body: None }
    }
}
