//! What the configuration asks of one exchange.

use std::path::PathBuf;
use std::time::Duration;

use crate::headers::{FieldOverride, Forwarding};

/// The settings of an exchange; frozen once resolved and shared by all that use them.
#[derive(Clone, Debug, Default)]
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
    /// How an https upstream is verified.
    pub tls: TlsSettings,
    /// How connections are kept.
    pub pool: PoolSettings,
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

/// How an https upstream is verified. Part of a connection's identity.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TlsSettings {
    /// Whether certificate and host name are checked.
    pub verify: bool,
    /// A PEM file whose certificates replace the system's roots.
    pub ca_file: Option<PathBuf>,
}

impl Default for TlsSettings {
    fn default() -> Self {
        TlsSettings { verify: true, ca_file: None }
    }
}

/// How idle connections are kept.
#[derive(Clone, Copy, Debug)]
pub struct PoolSettings {
    /// At most so many idle connections for each upstream.
    pub max_idle: usize,
    /// An idle connection is closed after this.
    pub idle_timeout: Duration,
}

impl Default for PoolSettings {
    fn default() -> Self {
        PoolSettings { max_idle: 32, idle_timeout: Duration::from_secs(15) }
    }
}
