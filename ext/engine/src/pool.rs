//! Connections, and those that wait for their next request.
//!
//! A connection has one owner: an exchange, through [`Connection`], or the pool. Dropping a
//! [`Connection`] aborts it: its socket is shut down. What is put back is clean: request sent
//! whole, response read whole.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use hyper::client::conn::http1::SendRequest;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use crate::destination;
use crate::policy::{PoolSettings, TlsSettings};
use crate::target::Target;
use crate::upload::UploadBody;

/// All that makes two connections the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    host: String,
    port: u16,
    tls: Option<TlsSettings>,
}

impl Key {
    pub(crate) fn new(target: &Target, tls: &TlsSettings) -> Self {
        Key {
            host: target.host().to_ascii_lowercase(),
            port: target.port(),
            tls: target.is_tls().then(|| tls.clone()),
        }
    }
}

/// An HTTP/1 connection that serves one request at a time.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) sender: SendRequest<UploadBody>,
    driver: AbortHandle,
    peer: IpAddr,
    received: Arc<AtomicU64>,
    write_failed: Arc<AtomicBool>,
    /// Whether it has served a request before.
    pub(crate) reused: bool,
}

impl Connection {
    /// `received` counts what comes over it; `write_failed` says whether a write did.
    pub(crate) fn new(
        sender: SendRequest<UploadBody>,
        driver: AbortHandle,
        peer: IpAddr,
        received: Arc<AtomicU64>,
        write_failed: Arc<AtomicBool>,
    ) -> Self {
        Connection { sender, driver, peer, received, write_failed, reused: false }
    }

    /// Whether it may serve another request.
    fn is_usable(&self) -> bool {
        !self.sender.is_closed() && !self.write_failed.load(Ordering::Relaxed)
    }

    /// The connection for another request, if it may serve one.
    pub(crate) fn for_reuse(mut self) -> Option<Self> {
        self.reused = true;
        (self.is_usable() && self.sender.is_ready()).then_some(self)
    }

    /// Bytes that have come so far.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    until: Instant,
}

/// The idle connections of an engine.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    idle: HashMap<Key, Vec<Idle>>,
    sweeping: bool,
}

impl Pool {
    /// The connection that has waited shortest, if one is alive and may still be used.
    pub(crate) fn take(&self, key: &Key) -> Option<Connection> {
        let mut state = self.lock();
        let idle = state.idle.get_mut(key)?;
        let now = Instant::now();
        let mut found = None;
        while let Some(entry) = idle.pop() {
            if entry.until > now && destination::permits(entry.connection.peer) {
                found = entry.connection.for_reuse();
            }
            if found.is_some() {
                break;
            }
        }
        if idle.is_empty() {
            state.idle.remove(key);
        }
        found
    }

    /// Keeps a connection for the next request, unless there are enough.
    pub(crate) fn put(self: &Arc<Self>, key: Key, connection: Connection, settings: PoolSettings) {
        let Some(until) = Instant::now().checked_add(settings.idle_timeout) else { return };
        if settings.max_idle == 0 || !connection.is_usable() {
            return;
        }
        let mut state = self.lock();
        let idle = state.idle.entry(key).or_default();
        if idle.len() >= settings.max_idle {
            idle.remove(0);
        }
        idle.push(Idle { connection, until });
        if !state.sweeping {
            state.sweeping = true;
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    /// How many connections wait.
    pub(crate) fn len(&self) -> usize {
        let state = self.lock();
        state.idle.values().flatten().filter(|idle| idle.connection.is_usable()).count()
    }

    /// Drops what has waited too long or was closed by its upstream; when to look again.
    fn expire(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut state = self.lock();
        state.idle.retain(|_, idle| {
            idle.retain(|entry| entry.until > now && entry.connection.is_usable());
            !idle.is_empty()
        });
        let next = state.idle.values().flatten().map(|entry| entry.until).min();
        state.sweeping = next.is_some();
        next
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes idle connections in time; ends when none is left.
async fn sweep(pool: Weak<Pool>) {
    const CLOSED_BY_UPSTREAM: Duration = Duration::from_secs(1);
    loop {
        let Some(next) = pool.upgrade().and_then(|pool| pool.expire()) else { return };
        sleep_until(next.min(Instant::now() + CLOSED_BY_UPSTREAM)).await;
    }
}
