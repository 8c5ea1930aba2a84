//! Counting what a connection has received, above TLS: whether one byte of an answer came decides
//! whether a stale connection may be given up for a fresh one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::InspectReader;

/// The stream, and where to read the count after hyper or h2 has taken it.
pub(crate) fn counted<T>(
    stream: T,
) -> (impl AsyncRead + AsyncWrite + Send + Unpin + 'static, Arc<AtomicU64>)
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let received = Arc::<AtomicU64>::default();
    let count = received.clone();
    let stream = InspectReader::new(stream, move |bytes: &[u8]| {
        count.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    });
    (stream, received)
}
