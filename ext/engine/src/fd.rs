//! Somebody else's socket: registering it with the runtime, and receiving from it.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::OwnedFd;

use bytes::{Bytes, BytesMut};
use socket2::SockRef;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Waits for what may be done with a descriptor; it is closed when the result is dropped.
pub(crate) fn registered(descriptor: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd answers with the same open descriptor from here to its drop, and nothing
    // takes it out of the AsyncFd before that deregisters it.
    unsafe { AsyncFd::register_with_interest(descriptor, interest) }.map_err(Into::into)
}

/// Up to `most` bytes that are here; none at the end. The buffer is never cleared for them.
pub(crate) fn received(socket: &OwnedFd, most: usize, flags: i32) -> io::Result<Bytes> {
    let mut bytes = BytesMut::with_capacity(most);
    let room = bytes.spare_capacity_mut();
    let length = SockRef::from(socket).recv_with_flags(room, flags)?;
    // SAFETY: the system has written so many bytes to the beginning of the buffer's room.
    unsafe { bytes.set_len(length) };
    Ok(bytes.freeze())
}
