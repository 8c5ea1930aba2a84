//! Which process this is, counted in forks.
//!
//! Only the thread that forks lives on in the child: what belongs to an older generation (threads,
//! locks, sockets registered with an epoll that parent and child share) must not be touched there,
//! not even to drop it. Its sockets are closed there at once, lest they hold connections open. A
//! `pthread_atfork` handler sees every fork, `Process.daemon` included, which Ruby's
//! `Process._fork` does not.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};

use streaming_engine::{hold_still, let_go_in_child, resume};

use crate::memory;

static GENERATION: AtomicU64 = AtomicU64::new(0);

extern "C" fn before() {
    hold_still();
}

extern "C" fn in_parent() {
    resume();
}

extern "C" fn in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    memory::forget_parent();
    let_go_in_child(|descriptor| {
        // SAFETY: the number is that of an open descriptor which this process has inherited and
        // nobody in it will touch again: what owns it is never used nor dropped.
        let _ = unsafe { libc::close(descriptor) };
    });
}

/// Counts forks from now on. Called once, when the library is loaded.
pub(crate) fn watch_for_forks() {
    // SAFETY: the handlers only use atomics and close(2), which is async-signal-safe, and the library
    // is never unloaded (Ruby does not dlclose extensions). It fails only for want of memory.
    let failed = unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
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

    /// The value, if this process was forked from the one that made it: most of it must not be
    /// touched.
    pub(crate) fn inherited(&self) -> Option<&T> {
        self.value.as_ref().filter(|_| self.generation != generation())
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        if self.generation != generation() {
            std::mem::forget(self.value.take());
        }
    }
}
