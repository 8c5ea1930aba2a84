//! Telling the waiting side that something changed, with at most one ring for each wait.
//!
//! The waiter arms the signal, looks once more at what it waits for, and only then waits; a
//! change rings only if it finds the signal armed. [`Signal`] is shared by the engine's threads
//! (which ring) and one Ruby thread (which arms). The ring itself is the border's business.

use std::fmt;
use std::task::Waker;

use crate::sync::{AtomicBool, AtomicWaker, Ordering};

/// A bell that rings only for somebody who listens.
pub struct Signal {
    armed: AtomicBool,
    ring: Box<dyn Fn() + Send + Sync>,
    /// A task that waits in the place of the Ruby thread.
    task: AtomicWaker,
}

impl Signal {
    /// A signal that calls `ring`, from any thread, when an armed waiter is to be woken. `ring`
    /// must not block.
    pub fn new(ring: impl Fn() + Send + Sync + 'static) -> Self {
        Signal { armed: AtomicBool::new(false), ring: Box::new(ring), task: AtomicWaker::new() }
    }

    /// Asks for a ring at the next change. The caller must look again after this and before it
    /// waits, or a change that came in between is lost.
    pub(crate) fn arm(&self) {
        // Pairs with the exchange in `notify`: one of the two comes first. If that is the other, its
        // change is acquired here, before the caller looks again.
        self.armed.swap(true, Ordering::AcqRel);
    }

    /// Says that something changed. The change must be visible before this is called.
    pub(crate) fn notify(&self) {
        if self.armed.swap(false, Ordering::AcqRel) {
            (self.ring)();
            self.task.wake();
        }
    }

    /// Wakes this task, too, when it rings.
    pub(crate) fn wake(&self, task: &Waker) {
        self.task.register(task);
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal").field("armed", &self.armed).finish_non_exhaustive()
    }
}

#[cfg(all(test, rsp_loom))]
mod models;

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn rings_once_for_each_arming() {
        let rung = Arc::new(AtomicUsize::new(0));
        let counter = rung.clone();
        let signal = Signal::new(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        signal.notify();
        assert_eq!(rung.load(Ordering::Relaxed), 0, "nobody was listening");
        signal.arm();
        signal.notify();
        signal.notify();
        assert_eq!(rung.load(Ordering::Relaxed), 1);
    }
}
