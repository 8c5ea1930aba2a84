//! What a connection receives, above TLS: counted, for whether one byte of an answer came decides
//! whether a stale connection may be given up for a fresh one; and bounded in what is read at once,
//! for the buffer that is read into grows with that.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take};

/// The reads from one connection, also after hyper or h2 has taken it.
#[derive(Debug)]
pub(crate) struct Reads {
    received: AtomicU64,
    most: AtomicUsize,
}

impl Reads {
    /// Bytes that have come so far.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Has at most so many bytes be read at once.
    pub(crate) fn at_most(&self, bytes: usize) {
        self.most.store(bytes, Ordering::Relaxed);
    }
}

/// The stream, and its reads.
pub(crate) fn counted<T>(
    stream: T,
) -> (impl AsyncRead + AsyncWrite + Send + Unpin + 'static, Arc<Reads>)
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let reads = Arc::new(Reads { received: AtomicU64::new(0), most: AtomicUsize::new(usize::MAX) });
    (Counted { stream: stream.take(u64::MAX), reads: reads.clone() }, reads)
}

#[derive(Debug)]
struct Counted<T> {
    stream: Take<T>,
    reads: Arc<Reads>,
}

impl<T: AsyncRead + Unpin> Counted<T> {
    fn writer(&mut self) -> Pin<&mut T> {
        Pin::new(self.stream.get_mut())
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Counted<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let most = self.reads.most.load(Ordering::Relaxed);
        self.stream.set_limit(most as u64);
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        let came = buf.filled().len() - before;
        self.reads.received.fetch_add(came as u64, Ordering::Relaxed);
        result
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Counted<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writer().poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.writer().poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.get_ref().is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer().poll_shutdown(cx)
    }
}
