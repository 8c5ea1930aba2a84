//! Somebody else's socket: registering it with the runtime, receiving from it, and resetting it.
#![allow(unsafe_code)]

use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd;
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

/// Dissolves a TCP connection, whose other end sees a reset, as connect(2) says of `AF_UNSPEC`.
/// Fails on a socket of another kind, which stays as it is.
#[cfg(target_os = "linux")]
pub(crate) fn disconnect(socket: &OwnedFd) {
    let nowhere = libc::sockaddr { sa_family: libc::AF_UNSPEC as _, sa_data: [0; 14] };
    let length = size_of_val(&nowhere) as libc::socklen_t;
    // SAFETY: the descriptor is open, and the system reads so many bytes of the address.
    unsafe { libc::connect(socket.as_raw_fd(), &raw const nowhere, length) };
}
