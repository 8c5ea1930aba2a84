//! The upstream half of rack-streaming-proxy: HTTP exchanges, streamed, without any Ruby.
//!
//! A [`Client`] opens an [`Exchange`] for each request. Nothing that the caller's thread calls ever
//! waits: it returns what is here, or asks to be called again when the [`Signal`] rings. The rooms,
//! in the order in which a request passes them: [`client`](Client), `exchange`, `retry`, `pool`,
//! `connection` (with `http2`), `connector` (with `resolver`, `destination`, `tls`, `socket`),
//! `headers`, `upload`, `framing`, `chunks`; and `deliver` or `tunnel`, where the engine has the
//! client's socket.

mod chunks;
mod client;
mod connection;
mod connector;
mod counted;
mod deliver;
mod destination;
mod drain;
mod error;
mod exchange;
mod fd;
mod framing;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod headers;
mod http2;
mod inherited;
#[cfg(feature = "test-panics")]
mod panics;
mod policy;
mod pool;
#[cfg(test)]
mod properties;
mod report;
mod resolver;
mod retry;
mod signal;
mod socket;
mod stats;
mod sync;
mod target;
mod tls;
mod tunnel;
mod upload;
mod watch;

pub use bytes::Bytes;
pub use http::{HeaderName, HeaderValue};

pub use client::Client;
pub use deliver::{BodyFraming, Delivery, Reply};
pub use destination::{Destinations, Rule};
pub use error::{Failure, Kind, Phase};
pub use exchange::{BodyEvent, Exchange, HeadEvent};
pub use headers::XForwarded;
pub use headers::{ClientFacts, FieldOverride, Fields, Forwarding, RequestHead, ResponseHead};
pub use inherited::{hold_still, let_go_in_child, resume};
pub use policy::{
    ClientIdentity, Http2, Limits, Policy, PoolSettings, Retry, Sni, Timeouts, TlsSettings,
    TlsVersion,
};
pub use report::{Attempt, Report};
pub use signal::Signal;
pub use stats::{Snapshot, Stats};
pub use target::{Target, TargetError};
pub use tunnel::Tunnel;
pub use upload::{BodyKind, Written};
