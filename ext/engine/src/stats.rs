//! Counters that tell what an engine holds; leak tests read them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// What an engine holds at this moment, and what it has moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Exchanges that have not ended.
    pub exchanges: usize,
    /// Open connections to upstreams, idle ones included.
    pub connections: usize,
    /// Connections that wait for their next request.
    pub idle_connections: usize,
    /// Requests that wait for a connection.
    pub waiting_requests: usize,
    /// Body bytes sent to upstreams.
    pub bytes_up: u64,
    /// Body bytes received from upstreams.
    pub bytes_down: u64,
    /// Live tasks of the runtime.
    pub tasks: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Stats {
    pub(crate) exchanges: AtomicUsize,
    pub(crate) connections: AtomicUsize,
    pub(crate) bytes_up: AtomicU64,
    pub(crate) bytes_down: AtomicU64,
}

impl Stats {
    /// Counts an exchange for as long as the guard lives.
    pub(crate) fn exchange(self: &Arc<Self>) -> Guard {
        Guard::new(self, |stats| &stats.exchanges)
    }

    /// Counts a connection for as long as the guard lives.
    pub(crate) fn connection(self: &Arc<Self>) -> Guard {
        Guard::new(self, |stats| &stats.connections)
    }
}

/// One thing that is counted while it lives.
#[derive(Debug)]
pub(crate) struct Guard {
    stats: Arc<Stats>,
    counter: fn(&Stats) -> &AtomicUsize,
}

impl Guard {
    fn new(stats: &Arc<Stats>, counter: fn(&Stats) -> &AtomicUsize) -> Self {
        counter(stats).fetch_add(1, Ordering::Relaxed);
        Guard { stats: stats.clone(), counter }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        (self.counter)(&self.stats).fetch_sub(1, Ordering::Relaxed);
    }
}
