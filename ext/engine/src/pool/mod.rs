//! Connections that wait for their next request, and requests that wait for a connection.
//!
//! Every connection to an upstream has a [`Slot`]; there are at most `max_connections` of them. Who
//! finds none is queued and is handed the next connection or slot that comes free. What is put back
//! is clean: request sent whole, response read whole. While it is not known whether a new connection
//! will be shared (HTTP/2), one exchange makes it and the others wait for what it brings.
//!
//! Connections are never dropped with the lock held: their slots come back here.

mod key;
mod queue;
mod slot;
mod upstream;

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::oneshot::error::RecvError;
use tokio::time::{Instant, sleep_until, timeout};

use crate::connection::{Connection, Http1};
use crate::error::{Failure, Kind, Phase};
use crate::http2::Shared;
use crate::policy::{Policy, PoolSettings};

pub(crate) use key::Key;
use queue::{Place, Turn};
pub(crate) use slot::Slot;
use upstream::{Begun, Upstream, Wanted};

/// What an exchange gets to send its request on.
#[derive(Debug)]
pub(crate) enum Checkout {
    /// A connection that has been made before.
    Reuse(Connection),
    /// The right to make one.
    Dial(Slot),
}

/// The connections of an engine.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    upstreams: HashMap<Key, Upstream>,
    sweeping: bool,
}

impl Pool {
    /// A connection, or the right to make one; waits in the queue while there is neither. `fresh` asks
    /// for one that no request has been sent on.
    pub(crate) async fn checkout(
        self: &Arc<Self>,
        key: &Key,
        policy: &Policy,
        origin: &str,
        fresh: bool,
    ) -> Result<Checkout, Failure> {
        let settings = &policy.pool;
        loop {
            let place = match self.begin(key, settings, fresh) {
                Begun::Ready(checkout) => return Ok(checkout),
                Begun::Full => return Err(queue_full(origin, settings)),
                Begun::Wait(place) => place,
            };
            match turn(place, policy, origin).await? {
                // Good for the one that put it back, but not by these settings.
                Ok(Turn::Connection(Connection::Http1(old))) if !old.is_usable(settings) => {}
                Ok(Turn::Connection(connection)) => return Ok(Checkout::Reuse(connection)),
                Ok(Turn::Slot(slot)) => return Ok(Checkout::Dial(slot)),
                Ok(Turn::Failed(failure)) => return Err(*failure),
                // Nobody leaves the queue without a turn.
                Err(_) => {
                    let detail = "was waited for in a line that is gone: a defect";
                    return Err(Failure::new(Kind::Internal, Phase::Connect, origin, detail));
                }
            }
        }
    }

    fn begin(self: &Arc<Self>, key: &Key, settings: &PoolSettings, fresh: bool) -> Begun {
        // Declared before the lock is taken, and so dropped after it is given back.
        let mut dead = Vec::new();
        let mut state = self.lock();
        let upstream = state.upstreams.entry(key.clone());
        let upstream = upstream.or_insert_with(|| Upstream::new(key.may_be_shared()));
        upstream.begin(settings, fresh, &mut dead, || Slot::new(self, key))
    }

    /// Keeps a connection for the next request, or hands it to one that waits. `keep_alive` is how
    /// long the upstream said that it will.
    pub(crate) fn put(
        self: &Arc<Self>,
        key: &Key,
        mut connection: Box<Http1>,
        settings: &PoolSettings,
        keep_alive: Option<Duration>,
    ) {
        let time = keep_alive.map_or(settings.idle_timeout, |told| told.min(settings.idle_timeout));
        while connection.is_usable(settings) {
            let mut state = self.lock();
            let Some(upstream) = state.upstreams.get_mut(key) else { return };
            match upstream.next_for_connection() {
                Wanted::By(waiter) => {
                    drop(state);
                    match waiter.give_connection(connection) {
                        Some(back) => connection = back,
                        None => return,
                    }
                }
                Wanted::ForItsSlot => return,
                Wanted::ByNobody => {
                    let until = Instant::now().checked_add(time);
                    let _evicted = upstream.keep(connection, until, settings.max_idle);
                    self.sweep_later(&mut state);
                    drop(state);
                    return;
                }
            }
        }
    }

    /// Shares a new connection with all that wait, as far as it has room.
    pub(crate) fn share(self: &Arc<Self>, shared: Arc<Shared>, settings: &PoolSettings) {
        let key = &shared.key().clone();
        let mut state = self.lock();
        let Some(upstream) = state.upstreams.get_mut(key) else { return };
        upstream.share(shared, settings);
        self.sweep_later(&mut state);
        drop(state);
        self.serve(key);
    }

    /// Gives those that wait what there is: streams of shared connections, and free slots.
    fn serve(self: &Arc<Self>, key: &Key) {
        loop {
            // As in `begin`.
            let mut dead = Vec::new();
            let mut state = self.lock();
            let Some(upstream) = state.upstreams.get_mut(key) else { return };
            let next = upstream.next_turn(&mut dead, || Slot::new(self, key));
            let Some((waiter, turn)) = next else {
                if upstream.is_unused() {
                    state.upstreams.remove(key);
                }
                return;
            };
            drop(state);
            waiter.give(turn);
        }
    }

    /// Tells those that wait for a connection to be made why it was not.
    pub(crate) fn dial_failed(&self, key: &Key, failure: &Failure) {
        let mut state = self.lock();
        let Some(upstream) = state.upstreams.get_mut(key) else { return };
        let waiting = upstream.waiting_for_dial();
        drop(state);
        for waiter in waiting {
            waiter.give(Turn::Failed(Box::new(failure.clone())));
        }
    }

    // ===== slots =====

    fn connected(self: &Arc<Self>, key: &Key, shared: bool) {
        if let Some(upstream) = self.lock().upstreams.get_mut(key) {
            upstream.connected(shared);
        }
        if !shared {
            self.serve(key);
        }
    }

    fn release(self: &Arc<Self>, key: &Key, dialing: bool) {
        if let Some(upstream) = self.lock().upstreams.get_mut(key) {
            upstream.release(dialing);
        }
        self.serve(key);
    }

    // ===== time =====

    /// How many connections wait for a request.
    pub(crate) fn idle(&self) -> usize {
        self.lock().upstreams.values().map(Upstream::idle).sum()
    }

    /// How many requests wait for a connection.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().upstreams.values().map(Upstream::waiting).sum()
    }

    fn sweep_later(self: &Arc<Self>, state: &mut State) {
        if !state.sweeping {
            state.sweeping = true;
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    /// Drops what has waited too long or was closed by its upstream; when to look again.
    fn expire(&self) -> Option<Instant> {
        let mut dead = Vec::new();
        let mut state = self.lock();
        let next = state.upstreams.values_mut().filter_map(|one| one.expire(&mut dead)).min();
        state.sweeping = next.is_some();
        drop(state);
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

fn none_free(origin: &str, settings: &PoolSettings) -> Failure {
    let detail = format!(
        "had none of its {} connections free within {} s (max_connections, connection_wait)",
        settings.max_connections,
        settings.wait.as_secs_f64()
    );
    Failure::new(Kind::Overloaded, Phase::Connect, origin, detail)
}

fn queue_full(origin: &str, settings: &PoolSettings) -> Failure {
    let detail = format!(
        "has {} requests waiting for one of its {} connections already (max_waiting_requests, \
         max_connections)",
        settings.max_waiting, settings.max_connections
    );
    Failure::new(Kind::Overloaded, Phase::Connect, origin, detail)
}

/// Waits for the turn of a place in the queue: while a connection is being made, as long as for one of
/// its own; then as long as for one that comes free.
async fn turn(
    place: Place,
    policy: &Policy,
    origin: &str,
) -> Result<Result<Turn, RecvError>, Failure> {
    let Place { mut turn, made } = place;
    let limit = policy.timeouts.connect;
    let begun = within(limit, async {
        tokio::select! {
            biased;
            turn = &mut turn => Some(turn),
            _ = made => None,
        }
    });
    match begun.await {
        Some(Some(turn)) => Ok(turn),
        Some(None) => {
            let waited = timeout(policy.pool.wait, turn).await;
            waited.map_err(|_| none_free(origin, &policy.pool))
        }
        None => Err(not_made(origin, limit)),
    }
}

/// Another exchange's attempt to connect, which this one waited for.
fn not_made(origin: &str, limit: Option<Duration>) -> Failure {
    let seconds = limit.unwrap_or_default().as_secs_f64();
    let detail = format!("did not accept a connection within {seconds} s (connect_timeout)");
    Failure::new(Kind::Timeout, Phase::Connect, origin, detail)
}

/// What the future brings, or nothing if it takes longer than the limit.
async fn within<T>(limit: Option<Duration>, future: impl Future<Output = T>) -> Option<T> {
    match limit {
        Some(limit) => timeout(limit, future).await.ok(),
        None => Some(future.await),
    }
}
