//! What happened in an exchange: attempts, times, bytes. The engine does not log; the Ruby side
//! reads this with the head and at the end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::headers::Fields;

/// One attempt, of which the last may still be going on.
#[derive(Clone, Debug)]
pub struct Attempt {
    started: Instant,
    connected: Option<Instant>,
    ended: Option<Instant>,
    /// Whether the connection had served a request before.
    pub reused: bool,
    /// The status that was answered.
    pub status: Option<u16>,
    /// What went wrong instead.
    pub error: Option<String>,
}

impl Attempt {
    fn begin() -> Self {
        let started = Instant::now();
        Attempt { started, connected: None, ended: None, reused: false, status: None, error: None }
    }

    /// The time for waiting for a connection, resolving, connecting, TLS; until now, or the end,
    /// if there is no connection.
    pub fn connect(&self) -> Duration {
        self.connected.unwrap_or_else(|| self.end()).saturating_duration_since(self.started)
    }

    /// The time from the start of sending to the head; until now, or the end, if there is none.
    pub fn head(&self) -> Duration {
        self.connected.map_or(Duration::ZERO, |since| self.end().saturating_duration_since(since))
    }

    fn end(&self) -> Instant {
        self.ended.unwrap_or_else(Instant::now)
    }
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
    /// Opens the entry of an attempt; the following ones go there.
    pub(crate) fn begin(&self) {
        self.lock().attempts.push(Attempt::begin());
    }

    /// The attempt has a connection.
    pub(crate) fn connected(&self, reused: bool) {
        self.update(|attempt| {
            attempt.connected = Some(Instant::now());
            attempt.reused = reused;
        });
    }

    /// The attempt is over.
    pub(crate) fn ended(&self, outcome: Result<u16, String>) {
        self.update(|attempt| {
            attempt.ended = Some(Instant::now());
            match outcome {
                Ok(status) => attempt.status = Some(status),
                Err(error) => attempt.error = Some(error),
            }
        });
    }

    fn update(&self, change: impl FnOnce(&mut Attempt)) {
        if let Some(attempt) = self.lock().attempts.last_mut() {
            change(attempt);
        }
    }

    /// Adds or reads; held for a moment only, never across a wait.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Report> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
