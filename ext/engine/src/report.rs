//! What happened in an exchange: attempts, times, bytes. The engine does not log; the Ruby side
//! reads this with the head and at the end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::headers::Fields;

/// One attempt.
#[derive(Clone, Debug, Default)]
pub struct Attempt {
    /// Whether the connection had served a request before.
    pub reused: bool,
    /// Waiting for a connection, resolving, connecting, TLS.
    pub connect: Duration,
    /// From the start of sending to the head.
    pub head: Duration,
    /// The status that was answered.
    pub status: Option<u16>,
    /// What went wrong instead.
    pub error: Option<String>,
}

/// An exchange so far.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// All attempts, the last one last.
    pub attempts: Vec<Attempt>,
    /// Body bytes that the last attempt sent.
    pub bytes_up: u64,
    /// Body bytes that came from the upstream.
    pub bytes_down: u64,
    /// The response's trailer fields, once its body has ended.
    pub trailers: Fields,
}

/// The report while it is written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger(Arc<Mutex<Report>>);

impl Ledger {
    /// Adds or reads; held for a moment only, never across a wait.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Report> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
