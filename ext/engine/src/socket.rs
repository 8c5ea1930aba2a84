//! The socket to an upstream, TCP or Unix.
//!
//! Dropping it shuts it down before it is closed: a forked child may hold a duplicate of the
//! descriptor, and then close alone sends no FIN. A write that fails does not end the exchange,
//! because the upstream may have answered before it went (a 413 before the upload's end): later
//! writes are swallowed and reading goes on to the answer or to the error.

use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::inherited::Noted;

/// A connected socket.
#[derive(Debug)]
pub(crate) struct Socket<S: AsFd> {
    /// Before the stream, and so dropped first: its number may be another's once it is closed.
    _noted: Noted,
    stream: S,
    write_failed: Arc<AtomicBool>,
}

impl<S: AsFd> Socket<S> {
    pub(crate) fn new(stream: S) -> Self {
        Socket { _noted: Noted::new(stream.as_fd()), stream, write_failed: Arc::default() }
    }

    /// Tells, also after the socket has been handed to hyper, whether a write has failed. Such a
    /// connection must not be used again.
    pub(crate) fn write_failed(&self) -> Arc<AtomicBool> {
        self.write_failed.clone()
    }

    fn is_write_failed(&self) -> bool {
        self.write_failed.load(Ordering::Relaxed)
    }

    fn written(&self, len: usize, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match result {
            Poll::Ready(Err(err)) if is_peer_gone(&err) => {
                self.write_failed.store(true, Ordering::Relaxed);
                Poll::Ready(Ok(len))
            }
            other => other,
        }
    }
}

fn is_peer_gone(err: &io::Error) -> bool {
    matches!(err.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

impl<S: AsFd> Drop for Socket<S> {
    fn drop(&mut self) {
        // Fails only on a connection that is down already.
        let _ = SockRef::from(&self.stream).shutdown(Shutdown::Both);
    }
}

impl<S: AsFd + AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        let ended = buf.filled().len() == before && buf.remaining() > 0;
        match result {
            // The failed write took the reset away: what reads as an end is none.
            Poll::Ready(Ok(())) if ended && self.is_write_failed() => {
                Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
            }
            other => other,
        }
    }
}

impl<S: AsFd + AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_write_failed() {
            return Poll::Ready(Ok(buf.len()));
        }
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.written(buf.len(), result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let len = bufs.iter().map(|buf| buf.len()).sum();
        if self.is_write_failed() {
            return Poll::Ready(Ok(len));
        }
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.written(len, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
