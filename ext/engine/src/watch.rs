//! Watching the client's socket: for the client's leaving, and for the next bytes that it sends.
//!
//! The reader's thread hands over a duplicate of the socket: once when an exchange has been silent
//! for a while, and each time when the upload has to wait for the client. The exchange's task waits
//! on it and never reads; it closes the second kind as soon as it has rung. [`Watch::end`] must come
//! before the last message: a living duplicate withholds the server's own FIN from the client. It
//! comes as well when the engine gets the socket to write to, which then watches that by itself.

mod handover;

use std::convert::Infallible;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;

use crate::fd;
use crate::inherited::Noted;
use crate::signal::Signal;
use handover::Handover;

/// Where the duplicates are handed over.
#[derive(Debug)]
pub(crate) struct Watch {
    leaving: Handover,
    input: Handover,
    signal: Arc<Signal>,
    ended: Notify,
}

impl Watch {
    pub(crate) fn new(signal: Arc<Signal>) -> Self {
        Watch { leaving: Handover::new(), input: Handover::new(), signal, ended: Notify::new() }
    }

    /// Takes the duplicate that tells of the client's leaving; only the first is used.
    pub(crate) fn give(&self, socket: OwnedFd) {
        self.leaving.give(socket);
    }

    /// Rings once when there is something to read, unless an earlier duplicate is still to tell of
    /// that. False if the socket cannot be watched.
    pub(crate) fn wake_when_readable(&self, socket: OwnedFd) -> bool {
        self.input.give(socket)
    }

    /// Resolves when the client has closed its sending side or reset the connection; until then it
    /// rings for what comes. Never, after the end.
    pub(crate) async fn client_gone(&self) {
        tokio::select! {
            () = self.left() => {}
            never = self.ring_for_input() => match never {},
            // What is watched has been dropped by then.
            () = self.ended.notified() => std::future::pending().await,
        }
    }

    async fn left(&self) {
        let socket = self.leaving.taken().await;
        let Ok(watched) = Watched::new(socket) else { return std::future::pending().await };
        if watched.closed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    async fn ring_for_input(&self) -> Infallible {
        loop {
            let socket = self.input.taken().await;
            let told = readable(socket).await;
            // Before the ring: whoever hears it may hand over the next.
            self.input.empty(told.is_ok());
            self.signal.notify();
        }
    }

    /// Takes no duplicate from now on; one that waits, or is watched, is closed.
    pub(crate) fn end(&self) {
        self.leaving.end();
        self.input.end();
        self.ended.notify_one();
    }
}

async fn readable(socket: OwnedFd) -> io::Result<()> {
    Watched::new(socket)?.socket.readable().await.map(|_| ())
}

/// A duplicate that is registered with the runtime. The note is dropped before the descriptor.
#[derive(Debug)]
struct Watched {
    _noted: Noted,
    socket: AsyncFd<OwnedFd>,
}

impl Watched {
    fn new(socket: OwnedFd) -> io::Result<Self> {
        let socket = fd::registered(socket, Interest::READABLE)?;
        Ok(Watched { _noted: Noted::new(socket.get_ref().as_fd()), socket })
    }

    /// Resolves once the peer is gone.
    async fn closed(&self) -> io::Result<()> {
        loop {
            let mut guard = self.socket.readable().await?;
            // Readable without an end are pipelined bytes: they are the server's, and stay there.
            if guard.ready().is_read_closed() {
                return Ok(());
            }
            guard.clear_ready();
        }
    }
}

#[cfg(test)]
mod tests;
