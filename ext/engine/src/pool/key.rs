//! What makes two connections the same.

use std::path::PathBuf;

use crate::policy::{Http2, Policy, TlsSettings};
use crate::target::Target;

/// All that a connection's identity depends on. The destination policy does not: it is asked again
/// when a connection is taken.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    host: String,
    port: u16,
    socket: Option<PathBuf>,
    tls: Option<TlsSettings>,
    http2: Http2,
}

impl Key {
    pub(crate) fn new(target: &Target, policy: &Policy) -> Self {
        let tls = target.is_tls().then(|| policy.tls.clone());
        // Without TLS there is nothing to choose by.
        let http2 = match policy.http2 {
            Http2::Auto if tls.is_none() => Http2::Never,
            other => other,
        };
        Key {
            host: target.host().to_ascii_lowercase(),
            port: target.port(),
            socket: policy.socket.clone(),
            tls,
            http2,
        }
    }

    /// Whether a connection may turn out to be one that is shared.
    pub(crate) fn may_be_shared(&self) -> bool {
        self.http2 != Http2::Never
    }
}
