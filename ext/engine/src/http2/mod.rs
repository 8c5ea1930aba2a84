//! HTTP/2 connections, shared by exchanges (RFC 9113).
//!
//! A [`Shared`] is held by the pool and by each of its streams; when the last one lets go, its
//! task ends and its socket is shut down. It is shared only after the upstream's SETTINGS have
//! come and allow a stream, so that MAX_CONCURRENT_STREAMS is respected from the first request on.
//! A stream that is not read holds up no other: the connection's window has room for the windows of
//! all streams.

mod body;
mod stream;

use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::counted::{Reads, counted};
use crate::policy::PoolSettings;
use crate::pool::{Key, Slot};
use crate::stats::Guard;

pub(crate) use body::ReceivedBody;
pub(crate) use stream::Stream;

/// Streams on one connection at the most, whatever the upstream would take.
const STREAMS: usize = 100;
/// Bytes that an upstream may send on a stream before they are read.
const STREAM_WINDOW: u32 = 256 * 1024;
/// The same for all streams together: room for each.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * STREAMS as u32;
/// Bytes of an upload that wait within a stream.
const SEND_BUFFER: usize = 256 * 1024;
/// Bytes of a response's header; what is longer is refused by the exchange's own limit.
const HEADER_LIST: u32 = 128 * 1024;
/// Streams that we cancelled, whose frames may still be under way: those are no fault of the
/// upstream's, and h2 ends a connection that has too many.
const CANCELLED: usize = 4096;
const CANCELLED_FOR: Duration = Duration::from_secs(10);
/// Stands for a limit that the upstream has not told yet.
const UNKNOWN: usize = usize::MAX - 1;

/// A connection that serves several requests at a time.
#[derive(Debug)]
pub(crate) struct Shared {
    sender: SendRequest<Bytes>,
    _driver: AbortOnDrop,
    facts: Arc<Facts>,
    peer: Option<IpAddr>,
    born: Instant,
    streams: AtomicUsize,
    served: AtomicU64,
    /// Bytes that have come over it.
    reads: Arc<Reads>,
    distrusted: AtomicBool,
    slot: Slot,
}

/// What the connection's task tells.
#[derive(Debug)]
struct Facts {
    /// Streams that the upstream takes at once.
    most: AtomicUsize,
    /// Who is to hear of room for more streams, and of the end.
    shared: OnceLock<Weak<Shared>>,
}

/// Why HTTP/2 could not be spoken.
#[derive(Debug)]
pub(crate) enum NoHttp2 {
    /// What came instead of SETTINGS.
    Instead(h2::Error),
    /// The connection ended before they came.
    Ended,
}

/// A connection on which HTTP/2 is spoken.
#[derive(Debug)]
pub(crate) struct Spoken {
    sender: SendRequest<Bytes>,
    driver: AbortOnDrop,
    facts: Arc<Facts>,
    reads: Arc<Reads>,
}

/// A task that is not to outlive its owner.
#[derive(Debug)]
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Speaks HTTP/2 on a stream and waits until the upstream's SETTINGS allow a request.
pub(crate) async fn speak<T>(stream: T, guard: Guard) -> Result<Spoken, NoHttp2>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let facts = Arc::new(Facts { most: AtomicUsize::new(UNKNOWN), shared: OnceLock::new() });
    let (stream, reads) = counted(stream);
    let (sender, connection) = Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .initial_max_send_streams(UNKNOWN)
        .max_send_buffer_size(SEND_BUFFER)
        .max_header_list_size(HEADER_LIST)
        .max_concurrent_reset_streams(CANCELLED)
        .reset_stream_duration(CANCELLED_FOR)
        .enable_push(false)
        .handshake(stream)
        .await
        .map_err(NoHttp2::Instead)?;
    let (settled, first_settings) = oneshot::channel();
    let driver = tokio::spawn(drive(connection, facts.clone(), settled, guard));
    let driver = AbortOnDrop(driver.abort_handle());
    match first_settings.await {
        Ok(Ok(())) => Ok(Spoken { sender, driver, facts, reads }),
        Ok(Err(err)) => Err(NoHttp2::Instead(err)),
        Err(_) => Err(NoHttp2::Ended),
    }
}

/// Moves the connection's frames, and keeps the upstream's limit in `facts`.
async fn drive<T>(
    mut connection: Connection<T, Bytes>,
    facts: Arc<Facts>,
    settled: oneshot::Sender<Result<(), h2::Error>>,
    _guard: Guard,
) where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut settled = Some(settled);
    let outcome = poll_fn(|cx| {
        let outcome = Pin::new(&mut connection).poll(cx);
        let most = connection.max_concurrent_send_streams();
        let before = facts.most.swap(most, Ordering::Relaxed);
        match settled.take() {
            // Nobody listens once the dialing exchange has gone.
            Some(settled) if most != UNKNOWN && most > 0 => drop(settled.send(Ok(()))),
            Some(waiting) => settled = Some(waiting),
            None if most > before => facts.changed(),
            None => {}
        }
        outcome
    })
    .await;
    // The socket goes first: those that hear of the end may look for it.
    drop(connection);
    if let (Some(settled), Err(err)) = (settled, outcome) {
        let _ = settled.send(Err(err));
    }
    facts.changed();
}

impl Facts {
    /// Those that wait in the queue may have a stream, or a new connection's.
    fn changed(&self) {
        if let Some(shared) = self.shared.get().and_then(Weak::upgrade) {
            shared.slot.has_room();
        }
    }
}

impl Shared {
    pub(crate) fn new(spoken: Spoken, peer: Option<IpAddr>, slot: Slot) -> Arc<Self> {
        let Spoken { sender, driver, facts, reads } = spoken;
        let shared = Arc::new(Shared {
            sender,
            _driver: driver,
            facts,
            peer,
            born: Instant::now(),
            streams: AtomicUsize::new(0),
            served: AtomicU64::new(0),
            reads,
            distrusted: AtomicBool::new(false),
            slot,
        });
        // Set once, here.
        let _ = shared.facts.shared.set(Arc::downgrade(&shared));
        shared
    }

    /// Whose connection it is.
    pub(crate) fn key(&self) -> &Key {
        self.slot.key()
    }

    /// Whether another request may be sent on it, now or later.
    pub(crate) fn is_usable(&self, settings: &PoolSettings) -> bool {
        !self.is_closed()
            && !self.distrusted.load(Ordering::Relaxed)
            && settings.max_age.is_none_or(|age| self.born.elapsed() < age)
            && settings.max_requests.is_none_or(|most| self.served.load(Ordering::Relaxed) < most)
    }

    /// Whether it takes no further request: it has ended, or the upstream said GOAWAY.
    pub(crate) fn is_closed(&self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        matches!(self.sender.clone().poll_ready(&mut context), Poll::Ready(Err(_)))
    }

    /// Whether no request is under way on it.
    pub(crate) fn is_idle(&self) -> bool {
        self.streams.load(Ordering::Relaxed) == 0
    }

    /// A stream, if there is room for one more. Called with the pool locked.
    pub(crate) fn stream(self: &Arc<Self>) -> Option<Stream> {
        let most = self.facts.most.load(Ordering::Relaxed).min(STREAMS);
        if self.streams.load(Ordering::Relaxed) >= most {
            return None;
        }
        self.streams.fetch_add(1, Ordering::Relaxed);
        let number = self.served.fetch_add(1, Ordering::Relaxed) + 1;
        Some(Stream::new(self.clone(), number))
    }
}

/// Whether the upstream said that it has not looked at the request: it may be sent again, whatever
/// it asks for (RFC 9113 section 8.7).
pub(crate) fn is_unprocessed(err: &h2::Error) -> bool {
    let refused = err.is_reset() && err.reason() == Some(h2::Reason::REFUSED_STREAM);
    err.is_remote() && (refused || err.is_go_away())
}
