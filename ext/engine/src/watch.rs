//! Noticing that the client has left while nothing is being written to it.
//!
//! The reader's thread hands over a duplicate of the client's socket once an exchange has been
//! silent for a while; the exchange's task waits for the client's FIN or RST on it and never reads.
//! [`Watch::end`] must come before the last message: a living duplicate withholds the server's own
//! FIN from the client.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::fd;
use crate::inherited::Noted;

#[derive(Debug)]
enum Slot {
    Empty,
    Given(OwnedFd),
    Taken,
    Ended,
}

/// Where the duplicate is handed over.
#[derive(Debug)]
pub(crate) struct Watch {
    slot: Mutex<Slot>,
    given: Notify,
}

impl Watch {
    pub(crate) fn new() -> Self {
        Watch { slot: Mutex::new(Slot::Empty), given: Notify::new() }
    }

    /// Takes the duplicate; only the first is used.
    pub(crate) fn give(&self, socket: OwnedFd) {
        let mut slot = self.lock();
        if matches!(*slot, Slot::Empty) {
            *slot = Slot::Given(socket);
            self.given.notify_one();
        }
    }

    /// Resolves when the client has closed its sending side or reset the connection.
    pub(crate) async fn client_gone(&self) {
        self.given.notified().await;
        let Some(socket) = self.take() else { return std::future::pending().await };
        if !closed(socket).await {
            std::future::pending::<()>().await;
        }
    }

    /// Takes no duplicate from now on; one that waits is closed.
    pub(crate) fn end(&self) {
        *self.lock() = Slot::Ended;
    }

    fn take(&self) -> Option<OwnedFd> {
        let mut slot = self.lock();
        match std::mem::replace(&mut *slot, Slot::Taken) {
            Slot::Given(socket) => Some(socket),
            Slot::Ended => {
                *slot = Slot::Ended;
                None
            }
            Slot::Empty | Slot::Taken => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// True once the peer is gone; false if this descriptor cannot be watched.
async fn closed(socket: OwnedFd) -> bool {
    let Ok(watched) = fd::watched(socket) else { return false };
    // A tuple drops the note before the descriptor.
    let (_noted, watched) = &(Noted::new(watched.get_ref().as_fd()), watched);
    loop {
        let Ok(mut guard) = watched.readable().await else { return false };
        // Readable without an end are pipelined bytes: they are the server's, and stay there.
        if guard.ready().is_read_closed() {
            return true;
        }
        guard.clear_ready();
    }
}
