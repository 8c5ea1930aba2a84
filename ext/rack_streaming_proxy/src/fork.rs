//! Which process this is, counted in forks.
//!
//! Only the thread that forks lives on in the child: what belongs to an older generation (threads,
//! locks, sockets registered with an epoll that parent and child share) must not be touched there,
//! not even to drop it. A `pthread_atfork` handler sees every fork, `Process.daemon` included,
//! which Ruby's `Process._fork` does not.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};

static GENERATION: AtomicU64 = AtomicU64::new(0);

extern "C" fn in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

/// Counts forks from now on. Called once, when the library is loaded.
pub(crate) fn watch_for_forks() {
    // SAFETY: the handler only adds to an atomic, which is async-signal-safe, and the library is
    // never unloaded (Ruby does not dlclose extensions). It fails only for want of memory.
    let failed = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    assert!(failed == 0, "pthread_atfork: out of memory");
}

/// The generation of this process.
pub(crate) fn generation() -> u64 {
    GENERATION.load(Ordering::Relaxed)
}

/// A value that belongs to the process that made it. In a forked child it cannot be reached and is
/// forgotten instead of dropped.
#[derive(Debug)]
pub(crate) struct Owned<T> {
    generation: u64,
    value: Option<T>,
}

impl<T> Owned<T> {
    pub(crate) fn new(value: T) -> Self {
        Owned { generation: generation(), value: Some(value) }
    }

    /// The value, unless this process was forked from the one that made it.
    pub(crate) fn get(&self) -> Option<&T> {
        self.value.as_ref().filter(|_| self.generation == generation())
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        if self.generation != generation() {
            std::mem::forget(self.value.take());
        }
    }
}
