//! Handing a descriptor from the reader's thread to the exchange's task.

use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

#[derive(Debug)]
enum Slot {
    Empty,
    Given(OwnedFd),
    Taken,
    /// What was taken could not be watched, nor can another.
    Unable,
    Ended,
}

/// A place for one descriptor at a time.
#[derive(Debug)]
pub(super) struct Handover {
    slot: Mutex<Slot>,
    given: Notify,
}

impl Handover {
    pub(super) fn new() -> Self {
        Handover { slot: Mutex::new(Slot::Empty), given: Notify::new() }
    }

    /// Takes the descriptor if the place is empty, else closes it. False if it cannot be watched.
    pub(super) fn give(&self, socket: OwnedFd) -> bool {
        let mut slot = self.lock();
        if matches!(*slot, Slot::Empty) {
            *slot = Slot::Given(socket);
            self.given.notify_one();
        }
        !matches!(*slot, Slot::Unable)
    }

    /// Resolves with the descriptor that is given; never, after the end.
    pub(super) async fn taken(&self) -> OwnedFd {
        loop {
            self.given.notified().await;
            let mut slot = self.lock();
            match std::mem::replace(&mut *slot, Slot::Taken) {
                Slot::Given(socket) => return socket,
                other => *slot = other,
            }
        }
    }

    /// Has room for the next after what was taken, if that could be watched.
    pub(super) fn empty(&self, able: bool) {
        let mut slot = self.lock();
        if matches!(*slot, Slot::Taken) {
            *slot = if able { Slot::Empty } else { Slot::Unable };
        }
    }

    /// Takes nothing from now on; what waits is closed.
    pub(super) fn end(&self) {
        *self.lock() = Slot::Ended;
    }

    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
