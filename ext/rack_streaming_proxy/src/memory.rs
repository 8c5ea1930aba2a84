//! What exchanges hold natively, told to Ruby's GC: it sees only small objects, and would let
//! responses that nobody closed pile up.

use std::sync::atomic::{AtomicUsize, Ordering};

use magnus::Ruby;

use crate::fork;

/// What this process's exchanges have told.
static TOLD: AtomicUsize = AtomicUsize::new(0);

/// Bytes that this process's exchanges hold, as they told the GC.
pub(crate) fn told() -> usize {
    TOLD.load(Ordering::Relaxed)
}

/// Begins at zero in a forked child.
pub(crate) fn forget_parent() {
    TOLD.store(0, Ordering::Relaxed);
}

/// What one object holds. Ruby hears of each change, and of its end when it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    bytes: AtomicUsize,
    generation: u64,
}

impl Held {
    pub(crate) fn nothing() -> Self {
        Held { bytes: AtomicUsize::new(0), generation: fork::generation() }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, ruby: &Ruby, bytes: usize) {
        let before = self.bytes.swap(bytes, Ordering::Relaxed);
        if bytes == before {
            return;
        }
        // The heap of a child is its parent's, which heard of these bytes; the count is not.
        if self.generation == fork::generation() {
            TOLD.fetch_add(bytes.wrapping_sub(before), Ordering::Relaxed);
        }
        ruby.gc_adjust_memory_usage(bytes as isize - before as isize);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Ruby drops it, while it collects garbage or ends.
        if let Ok(ruby) = Ruby::get() {
            self.set(&ruby, 0);
        }
    }
}
