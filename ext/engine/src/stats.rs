//! Counters that tell what an engine holds and what it has done. Gauges return to zero, the other
//! numbers only grow, also when a process stops its engine and starts another.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::error::{Failure, Kind};

/// What an engine holds at this moment, and what it has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Exchanges that have not ended.
    pub exchanges: usize,
    /// Responses that the engine writes to their clients, or is about to.
    pub streams: usize,
    /// Open connections to upstreams, idle ones included.
    pub connections: usize,
    /// Connections that wait for their next request.
    pub idle_connections: usize,
    /// Requests that wait for a connection.
    pub waiting_requests: usize,
    /// Exchanges that were opened.
    pub started: u64,
    /// Exchanges whose response came whole.
    pub finished: u64,
    /// Exchanges that were closed before their end, or whose client left.
    pub abandoned: u64,
    /// Exchanges that failed before their head, by kind; kinds that never occurred are left out.
    pub failed: Vec<(Kind, u64)>,
    /// Exchanges whose response was cut short.
    pub cut: u64,
    /// Body bytes sent to upstreams.
    pub bytes_up: u64,
    /// Body bytes received from upstreams.
    pub bytes_down: u64,
    /// Live tasks of the runtime.
    pub tasks: usize,
}

/// The counters of a process.
#[derive(Debug, Default)]
pub struct Stats {
    pub(crate) exchanges: AtomicUsize,
    pub(crate) connections: AtomicUsize,
    streams: AtomicUsize,
    pub(crate) bytes_up: AtomicU64,
    pub(crate) bytes_down: AtomicU64,
    started: AtomicU64,
    finished: AtomicU64,
    abandoned: AtomicU64,
    failed: [AtomicU64; Kind::ALL.len()],
    cut: AtomicU64,
}

impl Stats {
    /// Counts an exchange for as long as the guard lives.
    pub(crate) fn exchange(self: &Arc<Self>) -> Counted {
        self.started.fetch_add(1, Ordering::Relaxed);
        Counted { guard: Guard::new(self, |stats| &stats.exchanges), told: false }
    }

    /// Counts a connection for as long as the guard lives.
    pub(crate) fn connection(self: &Arc<Self>) -> Guard {
        Guard::new(self, |stats| &stats.connections)
    }

    /// Counts a response that the engine is to write for as long as the guard lives. None if there
    /// are `most` already.
    pub(crate) fn stream(self: &Arc<Self>, most: usize) -> Option<Guard> {
        let one_more = |streams| (streams < most).then_some(streams + 1);
        self.streams.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(Guard { stats: self.clone(), counter: |stats| &stats.streams })
    }

    /// What is counted here; the rest an engine knows, if one runs.
    pub fn snapshot(&self) -> Snapshot {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let failed = Kind::ALL.into_iter().zip(self.failed.iter().map(read));
        Snapshot {
            exchanges: self.exchanges.load(Ordering::Relaxed),
            streams: self.streams.load(Ordering::Relaxed),
            connections: self.connections.load(Ordering::Relaxed),
            started: read(&self.started),
            finished: read(&self.finished),
            abandoned: read(&self.abandoned),
            failed: failed.filter(|(_, times)| *times > 0).collect(),
            cut: read(&self.cut),
            bytes_up: read(&self.bytes_up),
            bytes_down: read(&self.bytes_down),
            ..Snapshot::default()
        }
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

/// An exchange that is counted while it lives, and by its end.
#[derive(Debug)]
pub(crate) struct Counted {
    guard: Guard,
    told: bool,
}

impl Counted {
    /// Says how the exchange ended; `answered`: its reader had been given a head.
    pub(crate) fn end(mut self, outcome: &Result<(), Failure>, answered: bool) {
        let stats = &self.guard.stats;
        let counter = match outcome {
            Ok(()) => &stats.finished,
            Err(failure) if failure.kind == Kind::ClientGone => &stats.abandoned,
            Err(_) if answered => &stats.cut,
            Err(failure) => &stats.failed[failure.kind as usize],
        };
        counter.fetch_add(1, Ordering::Relaxed);
        self.told = true;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let stats = &self.guard.stats;
        let counter = match self.told {
            true => return,
            false if std::thread::panicking() => &stats.failed[Kind::Internal as usize],
            false => &stats.abandoned,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Phase;

    #[test]
    fn every_exchange_is_counted_once_by_its_end() {
        let stats = Arc::new(Stats::default());
        let failure = |kind| Err(Failure::new(kind, Phase::Head, "http://a", "failed"));
        let ends = [
            (Ok(()), true),
            (failure(Kind::Timeout), false),
            (failure(Kind::Internal), false),
            (failure(Kind::Timeout), true),
            (failure(Kind::ClientGone), true),
        ];
        for (outcome, answered) in &ends {
            stats.exchange().end(outcome, *answered);
        }
        drop(stats.exchange());
        let open = stats.exchange();
        let now = stats.snapshot();
        assert_eq!((now.started, now.exchanges), (7, 1));
        assert_eq!((now.finished, now.abandoned, now.cut), (1, 2, 1));
        assert_eq!(now.failed, [(Kind::Timeout, 1), (Kind::Internal, 1)]);
        drop(open);
        assert_eq!(stats.snapshot().exchanges, 0);
    }

    #[test]
    fn no_more_streams_are_counted_than_there_may_be() {
        let stats = Arc::new(Stats::default());
        let first = stats.stream(2);
        let second = stats.stream(2);
        assert!(first.is_some() && second.is_some());
        assert!(stats.stream(2).is_none());
        assert_eq!(stats.snapshot().streams, 2);
        drop(first);
        assert!(stats.stream(2).is_some());
    }

    #[test]
    fn every_kind_has_a_place_of_its_own() {
        for (index, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index);
        }
    }
}
