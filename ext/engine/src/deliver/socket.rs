//! A client's socket, which the application server has accepted.
//!
//! Its file description is shared with the server's own descriptor for it until that is closed: no
//! flag of it is changed, each call says for itself that it is not to wait.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use bytes::{Buf, Bytes};
use socket2::SockRef;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::fd;
use crate::inherited::Noted;

/// Bytes that the system holds of what is written beside those that are under way: enough to keep a
/// connection busy until more are written.
#[cfg(target_os = "linux")]
pub(super) const UNSENT: u32 = 128 * 1024;
/// Parts that are written at once.
const PARTS: usize = 16;
/// Bytes that are read and dropped at once.
const DROPPED: usize = 4096;
#[cfg(target_os = "linux")]
const FLAGS: i32 = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
#[cfg(not(target_os = "linux"))]
const FLAGS: i32 = libc::MSG_DONTWAIT;

/// The note is dropped before the descriptor.
#[derive(Debug)]
pub(crate) struct ClientSocket {
    _noted: Noted,
    socket: AsyncFd<OwnedFd>,
}

impl ClientSocket {
    pub(crate) fn new(socket: OwnedFd) -> io::Result<Self> {
        let socket = fd::registered(socket, Interest::READABLE | Interest::WRITABLE)?;
        Ok(ClientSocket { _noted: Noted::new(socket.get_ref().as_fd()), socket })
    }

    /// Whether the system takes only a little for a client that does not read, which would tell
    /// nothing of the client.
    #[cfg_attr(not(target_os = "linux"), expect(unused_variables, reason = "nothing is set"))]
    pub(super) fn hold_little(&self, little: bool) {
        // None is a limit of the system's own. A Unix socket holds little anyway.
        #[cfg(target_os = "linux")]
        let _ = SockRef::from(&self.socket).set_tcp_notsent_lowat(if little { UNSENT } else { 0 });
    }

    /// Writes some of the parts as soon as there is room, and takes from them what is
    /// written, so many bytes. Cancelled, it has written nothing.
    pub(crate) async fn send(&self, parts: &mut VecDeque<Bytes>) -> io::Result<usize> {
        let write = |socket: &OwnedFd| {
            let slices: Vec<_> = parts.iter().take(PARTS).map(|part| IoSlice::new(part)).collect();
            SockRef::from(socket).send_vectored_with_flags(&slices, FLAGS)
        };
        let sent = self.socket.async_io(Interest::WRITABLE, write).await?;
        advance(parts, sent);
        Ok(sent)
    }

    /// Writes all of it, waiting for room as long as it takes.
    pub(crate) async fn send_all(&self, bytes: Bytes) -> io::Result<()> {
        let mut parts = VecDeque::from([bytes]);
        while parts.front().is_some_and(|part| !part.is_empty()) {
            self.send(&mut parts).await?;
        }
        Ok(())
    }

    /// The next bytes that the client has sent, at most so many; none at its end.
    pub(crate) async fn receive(&self, most: usize) -> io::Result<Bytes> {
        let receive = |socket: &OwnedFd| fd::received(socket, most, FLAGS);
        self.socket.async_io(Interest::READABLE, receive).await
    }

    /// Ends our side.
    pub(crate) fn end(&self) -> io::Result<()> {
        SockRef::from(&self.socket).shutdown(Shutdown::Write)
    }

    /// Resolves once the client has ended its side, or the connection. What it sends before that is
    /// left where it is.
    pub(crate) async fn closed(&self) {
        while let Ok(mut guard) = self.socket.readable().await {
            if guard.ready().is_read_closed() {
                return;
            }
            guard.clear_ready();
        }
    }

    /// Waits for the client to end its side: closed with bytes of its unread, the connection would be
    /// reset, and with it what the client has not read yet (RFC 9112 section 9.6).
    pub(crate) async fn ended(&self) {
        let mut dropped = [MaybeUninit::uninit(); DROPPED];
        let mut read =
            |socket: &OwnedFd| SockRef::from(socket).recv_with_flags(&mut dropped, FLAGS);
        while self.socket.async_io(Interest::READABLE, &mut read).await.is_ok_and(|len| len > 0) {}
    }

    /// To be called before it is closed where the connection's end alone tells what is whole: what
    /// is not is reset now, whoever else has a descriptor of it; where the system cannot, with its
    /// last one.
    pub(crate) fn tell_end(&self, whole: bool) {
        #[cfg(target_os = "linux")]
        if !whole {
            fd::disconnect(self.socket.get_ref());
        }
        self.reset_on_close(!whole);
    }

    /// Whether closing resets the connection, also when the process is killed.
    pub(crate) fn reset_on_close(&self, reset: bool) {
        // Fails only on a connection that is down already, or a Unix socket, which has no reset.
        let _ = SockRef::from(&self.socket).set_linger(reset.then_some(Duration::ZERO));
    }
}

fn advance(parts: &mut VecDeque<Bytes>, mut sent: usize) {
    while let Some(first) = parts.front_mut() {
        if sent < first.len() {
            first.advance(sent);
            return;
        }
        sent -= first.len();
        parts.pop_front();
    }
}
