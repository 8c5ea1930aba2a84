//! The connections of one upstream, and who waits for them. All under the pool's lock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::queue::{Place, Turn, Waiter, place};
use super::{Checkout, Slot};
use crate::connection::{Connection, Http1};
use crate::http2::{Shared, Stream};
use crate::policy::PoolSettings;

/// What one that asks gets.
#[derive(Debug)]
pub(super) enum Begun {
    Ready(Checkout),
    Wait(Place),
    Full,
}

/// Who wants a connection that comes free.
#[derive(Debug)]
pub(super) enum Wanted {
    By(Waiter),
    /// The first in the queue wants to make another in its place.
    ForItsSlot,
    ByNobody,
}

#[derive(Debug)]
struct Idle {
    connection: Box<Http1>,
    until: Instant,
}

#[derive(Debug)]
struct Sharing {
    shared: Arc<Shared>,
    /// Of the one that made it.
    settings: PoolSettings,
    /// When to close it, if no stream is opened before.
    until: Option<Instant>,
}

/// What is dropped once the pool is unlocked.
#[derive(Debug)]
pub(super) enum Dead {
    Idle { _connection: Box<Http1> },
    Shared { _connection: Arc<Shared> },
}

/// One upstream.
#[derive(Debug)]
pub(super) struct Upstream {
    /// The last one has waited shortest.
    idle: Vec<Idle>,
    sharing: Vec<Sharing>,
    /// Slots given out, and those of them whose connection is still being made.
    open: usize,
    dialing: usize,
    may_be_shared: bool,
    /// Whether the last new connection is one that is shared.
    last_shared: Option<bool>,
    waiting: VecDeque<Waiter>,
}

impl Upstream {
    pub(super) fn new(may_be_shared: bool) -> Self {
        Upstream {
            idle: Vec::new(),
            sharing: Vec::new(),
            open: 0,
            dialing: 0,
            may_be_shared,
            last_shared: None,
            waiting: VecDeque::new(),
        }
    }

    pub(super) fn begin(
        &mut self,
        settings: &PoolSettings,
        fresh: bool,
        dead: &mut Vec<Dead>,
        slot: impl FnOnce() -> Slot,
    ) -> Begun {
        self.forget_gone();
        self.retire(Some(settings), dead);
        if self.waiting.is_empty() {
            if let Some(connection) = self.reusable(settings, fresh, dead) {
                return Begun::Ready(Checkout::Reuse(connection));
            }
            if self.may_dial(settings.max_connections) {
                return Begun::Ready(Checkout::Dial(self.dial(slot)));
            }
        }
        if self.waiting.len() >= settings.max_waiting {
            return Begun::Full;
        }
        if fresh && !self.idle.is_empty() {
            // Its slot comes free for this one.
            dead.push(Dead::Idle { _connection: self.idle.remove(0).connection });
        }
        Begun::Wait(self.line_up(fresh, settings.max_connections))
    }

    fn line_up(&mut self, fresh: bool, max_connections: usize) -> Place {
        let (waiter, place) = place(fresh, self.dial_is_awaited(), max_connections);
        self.waiting.push_back(waiter);
        place
    }

    /// What the first in the queue can have now.
    pub(super) fn next_turn(
        &mut self,
        dead: &mut Vec<Dead>,
        slot: impl FnOnce() -> Slot,
    ) -> Option<(Waiter, Turn)> {
        self.forget_gone();
        let most = self.waiting.front()?.max_connections;
        self.retire(None, dead);
        let turn = match self.stream() {
            Some(stream) => Turn::Connection(Connection::Http2(stream)),
            None if self.may_dial(most) => Turn::Slot(self.dial(slot)),
            None => return None,
        };
        self.waiting.pop_front().map(|waiter| (waiter, turn))
    }

    /// What the first in the queue makes of a connection that comes free.
    pub(super) fn next_for_connection(&mut self) -> Wanted {
        self.forget_gone();
        match self.waiting.pop_front() {
            None => Wanted::ByNobody,
            Some(waiter) if waiter.fresh => {
                self.waiting.push_front(waiter);
                Wanted::ForItsSlot
            }
            Some(waiter) => Wanted::By(waiter),
        }
    }

    /// Whether a connection is being made that others may share.
    fn dial_is_awaited(&self) -> bool {
        self.may_be_shared && self.last_shared != Some(false) && self.dialing > 0
    }

    fn may_dial(&self, max_connections: usize) -> bool {
        self.open < max_connections && !self.dial_is_awaited()
    }

    fn dial(&mut self, slot: impl FnOnce() -> Slot) -> Slot {
        self.open += 1;
        self.dialing += 1;
        slot()
    }

    fn stream(&mut self) -> Option<Stream> {
        self.sharing.iter_mut().find_map(Sharing::stream)
    }

    fn forget_gone(&mut self) {
        self.waiting.retain(|waiter| !waiter.is_gone());
    }

    /// A stream of a shared connection, or else the connection that has waited shortest.
    fn reusable(
        &mut self,
        settings: &PoolSettings,
        fresh: bool,
        dead: &mut Vec<Dead>,
    ) -> Option<Connection> {
        if let Some(stream) = self.stream() {
            return Some(Connection::Http2(stream));
        }
        if fresh {
            return None;
        }
        let now = Instant::now();
        while let Some(entry) = self.idle.pop() {
            let Idle { connection, until } = entry;
            if until > now && connection.is_usable(settings) && connection.is_ready() {
                return Some(Connection::Http1(connection));
            }
            dead.push(Dead::Idle { _connection: connection });
        }
        None
    }

    /// Shares no further stream of connections that have done their time, by these settings or by
    /// those of who made them. The slot of one without a stream comes free.
    fn retire(&mut self, settings: Option<&PoolSettings>, dead: &mut Vec<Dead>) {
        for index in (0..self.sharing.len()).rev() {
            let Sharing { shared, settings: own, .. } = &self.sharing[index];
            if !shared.is_usable(own) || settings.is_some_and(|asker| !shared.is_usable(asker)) {
                let _connection = self.sharing.remove(index).shared;
                dead.push(Dead::Shared { _connection });
            }
        }
    }

    /// Keeps an idle connection; returns one that is too many.
    pub(super) fn keep(
        &mut self,
        connection: Box<Http1>,
        until: Option<Instant>,
        max_idle: usize,
    ) -> Option<Box<Http1>> {
        let Some(until) = until.filter(|_| max_idle > 0) else { return Some(connection) };
        let evicted = (self.idle.len() >= max_idle).then(|| self.idle.remove(0).connection);
        self.idle.push(Idle { connection, until });
        evicted
    }

    pub(super) fn share(&mut self, shared: Arc<Shared>, settings: &PoolSettings) {
        self.sharing.push(Sharing { shared, settings: *settings, until: None });
    }

    /// Those that wait for a connection that is being made.
    pub(super) fn waiting_for_dial(&mut self) -> Vec<Waiter> {
        let (for_dial, others) = self.waiting.drain(..).partition(Waiter::is_for_dial);
        self.waiting = others;
        Vec::from(for_dial)
    }

    pub(super) fn connected(&mut self, shared: bool) {
        self.dialing -= 1;
        self.last_shared = Some(shared);
        // Whom it has no room for waits in the queue like any other.
        self.waiting.iter_mut().for_each(Waiter::made);
    }

    pub(super) fn release(&mut self, dialing: bool) {
        self.open -= 1;
        if dialing {
            self.dialing -= 1;
        }
    }

    /// Whether nothing is left to remember.
    pub(super) fn is_unused(&self) -> bool {
        self.open == 0 && self.waiting.is_empty()
    }

    /// Takes out what has waited too long or was closed; when to look again.
    pub(super) fn expire(&mut self, dead: &mut Vec<Dead>) -> Option<Instant> {
        let now = Instant::now();
        let (kept, over): (Vec<_>, Vec<_>) =
            self.idle.drain(..).partition(|idle| idle.until > now && idle.connection.is_open());
        self.idle = kept;
        dead.extend(over.into_iter().map(|idle| Dead::Idle { _connection: idle.connection }));
        for index in (0..self.sharing.len()).rev() {
            if self.sharing[index].is_over(now) {
                let _connection = self.sharing.remove(index).shared;
                dead.push(Dead::Shared { _connection });
            }
        }
        let idle = self.idle.iter().map(|idle| idle.until);
        idle.chain(self.sharing.iter().map(|one| one.until.unwrap_or(now + ONE_SECOND))).min()
    }

    pub(super) fn idle(&self) -> usize {
        let shared = self.sharing.iter().filter(|one| !one.shared.is_closed());
        self.idle.iter().filter(|idle| idle.connection.is_open()).count()
            + shared.filter(|one| one.shared.is_idle()).count()
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.iter().filter(|waiter| !waiter.is_gone()).count()
    }
}

const ONE_SECOND: Duration = Duration::from_secs(1);

impl Sharing {
    fn stream(&mut self) -> Option<Stream> {
        let usable = self.shared.is_usable(&self.settings);
        let stream = if usable { self.shared.stream() } else { None }?;
        self.until = None;
        Some(stream)
    }

    /// Whether it is closed, or has had no stream for too long.
    fn is_over(&mut self, now: Instant) -> bool {
        if !self.shared.is_idle() {
            self.until = None;
        } else if self.until.is_none() {
            let time = self.settings.idle_timeout;
            let time = if self.settings.max_idle == 0 { Duration::ZERO } else { time };
            self.until = now.checked_add(time);
        }
        self.shared.is_closed() || self.until.is_some_and(|until| until <= now)
    }
}
