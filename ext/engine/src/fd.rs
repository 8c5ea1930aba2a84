//! Registering somebody else's socket with the runtime.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Waits for what may be done with a descriptor; it is closed when the result is dropped.
pub(crate) fn registered(descriptor: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd answers with the same open descriptor from here to its drop, and nothing
    // takes it out of the AsyncFd before that deregisters it.
    unsafe { AsyncFd::register_with_interest(descriptor, interest) }.map_err(Into::into)
}
