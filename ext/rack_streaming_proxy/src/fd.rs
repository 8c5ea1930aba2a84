//! Duplicating a descriptor that Ruby owns.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

/// A duplicate (close-on-exec) of an open descriptor; the original stays Ruby's.
pub(crate) fn duplicate(descriptor: RawFd) -> io::Result<OwnedFd> {
    if descriptor < 0 {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    // SAFETY: borrowed for this call only. The caller got the number from an open Ruby IO and
    // holds the GVL, so Ruby does not close it meanwhile; a stale number gives EBADF.
    unsafe { BorrowedFd::borrow_raw(descriptor) }.try_clone_to_owned()
}
