//! Which descriptors hold connections, so that a forked child can close what it inherits of them.
//!
//! A child has a duplicate of every descriptor, and with it holds a connection open when its parent
//! has ended. It may close these duplicates, which disturbs nobody, but not drop what owns them: that
//! would shut the connection down, and deregister it from an epoll that it shares with its parent.
//!
//! The numbers are noted in a table that can be read between fork and exec, where no lock may be
//! waited for and nothing be allocated. It holds still during a fork: a number that is noted while
//! the descriptors are copied already could be another file's in the child.

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::yield_now;

/// Descriptors that have a place in the table; a child keeps those beyond it.
const PLACES: usize = 65_536;
const BITS: usize = u64::BITS as usize;

static NOTED: [AtomicU64; PLACES / BITS] = [const { AtomicU64::new(0) }; PLACES / BITS];
/// Whether a fork is under way.
static STILL: AtomicBool = AtomicBool::new(false);

/// Keeps the table as it is, from before a fork until [`resume`].
pub fn hold_still() {
    while STILL.swap(true, Ordering::Acquire) {
        yield_now();
    }
}

/// Ends what [`hold_still`] began, in the parent.
pub fn resume() {
    STILL.store(false, Ordering::Release);
}

/// Hands each descriptor that the parent has noted to `close`, and forgets it. To be called once
/// in a child, before anything else; safe between fork and exec if `close` is.
pub fn let_go_in_child(close: impl Fn(RawFd)) {
    for (index, word) in NOTED.iter().enumerate() {
        let mut bits = word.swap(0, Ordering::Relaxed);
        while bits != 0 {
            let bit = bits.trailing_zeros() as usize;
            bits &= bits - 1;
            close((index * BITS + bit) as RawFd);
        }
    }
    resume();
}

/// A descriptor that is noted; to be dropped before it is closed.
#[derive(Debug)]
pub(crate) struct Noted(RawFd);

impl Noted {
    pub(crate) fn new(descriptor: BorrowedFd<'_>) -> Self {
        let noted = Noted(descriptor.as_raw_fd());
        noted.change(|word, bit| word.fetch_or(bit, Ordering::Relaxed));
        noted
    }

    fn change(&self, change: impl Fn(&AtomicU64, u64) -> u64) {
        let place = self.0 as usize;
        let Some(word) = NOTED.get(place / BITS) else { return };
        hold_still();
        change(word, 1 << (place % BITS));
        resume();
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        self.change(|word, bit| word.fetch_and(!bit, Ordering::Relaxed));
    }
}
