//! HTTP/2 connections, shared by exchanges (RFC 9113).
//!
//! A [`Shared`] is held by the pool and by each of its streams; when the last one lets go, its
//! tasks end and its socket is shut down. It is shared only after the upstream's SETTINGS have
//! come and allow a stream, so that MAX_CONCURRENT_STREAMS is respected from the first request on.
//! A stream that is not read holds up no other: the connection's window has room for all streams' windows.

use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use atomic_waker::AtomicWaker;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http2::{Builder, Connection as Driver, SendRequest};
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use crate::counted::Counted;
use crate::policy::PoolSettings;
use crate::pool::{Key, Slot};
use crate::stats::Guard;
use crate::upload::UploadBody;

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
/// Stands for a limit that the upstream has not told yet.
const UNKNOWN: usize = usize::MAX - 1;

/// A connection that serves several requests at a time.
#[derive(Debug)]
pub(crate) struct Shared {
    sender: SendRequest<UploadBody>,
    facts: Arc<Facts>,
    peer: Option<IpAddr>,
    born: Instant,
    streams: AtomicUsize,
    served: AtomicU64,
    /// Bytes that have come over it.
    received: Arc<AtomicU64>,
    distrusted: AtomicBool,
    slot: Slot,
    /// Ends the connection's tasks when it is dropped.
    _alive: watch::Sender<()>,
}

/// What the connection's tasks tell.
#[derive(Debug, Default)]
struct Facts {
    /// Streams that the upstream takes at once.
    most: AtomicUsize,
    /// The task that reads has run; the task that watches is to look again.
    activity: AtomicWaker,
    /// Who is to hear of room for more streams.
    shared: OnceLock<Weak<Shared>>,
}

/// One request's hold on a connection.
#[derive(Debug)]
pub(crate) struct Stream {
    shared: Arc<Shared>,
    sender: SendRequest<UploadBody>,
    number: u64,
}

/// Why HTTP/2 could not be spoken.
#[derive(Debug)]
pub(crate) enum NoHttp2 {
    /// What came instead of SETTINGS.
    Instead(hyper::Error),
    /// The connection ended before they came.
    Ended,
}

/// A connection on which HTTP/2 is spoken.
#[derive(Debug)]
pub(crate) struct Spoken {
    sender: SendRequest<UploadBody>,
    facts: Arc<Facts>,
    received: Arc<AtomicU64>,
    alive: watch::Sender<()>,
}

/// Speaks HTTP/2 on a stream and waits until the upstream's SETTINGS allow a request.
pub(crate) async fn speak<T>(stream: T, guard: Guard) -> Result<Spoken, NoHttp2>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let facts = Arc::new(Facts { most: AtomicUsize::new(UNKNOWN), ..Facts::default() });
    let (alive, tasks) = watch::channel(());
    let (stream, received) = Counted::new(stream);
    let (sender, driver) = Builder::new(Spawner { alive: tasks.clone(), facts: facts.clone() })
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .initial_max_send_streams(UNKNOWN)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(HEADER_LIST)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(NoHttp2::Instead)?;
    let (settled, first_settings) = oneshot::channel();
    spawn_while(tasks, drive(driver, facts.clone(), settled, guard));
    match first_settings.await {
        Ok(Ok(())) => {}
        Ok(Err(err)) => return Err(NoHttp2::Instead(err)),
        Err(_) => return Err(NoHttp2::Ended),
    }
    Ok(Spoken { sender, facts, received, alive })
}

/// Sends what exchanges ask for, and keeps the upstream's limit in `facts`.
async fn drive<T>(
    mut driver: Driver<TokioIo<T>, UploadBody, Spawner>,
    facts: Arc<Facts>,
    settled: oneshot::Sender<hyper::Result<()>>,
    _guard: Guard,
) where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut settled = Some(settled);
    let outcome = poll_fn(|cx| {
        facts.activity.register(cx.waker());
        let outcome = Pin::new(&mut driver).poll(cx);
        let most = driver.current_max_send_streams();
        let before = facts.most.swap(most, Ordering::Relaxed);
        match settled.take() {
            // Nobody listens once the dialing exchange has gone.
            Some(settled) if most != UNKNOWN && most > 0 => drop(settled.send(Ok(()))),
            Some(waiting) => settled = Some(waiting),
            None if most > before => facts.has_room(),
            None => {}
        }
        outcome
    })
    .await;
    if let (Some(settled), Err(err)) = (settled, outcome) {
        let _ = settled.send(Err(err));
    }
}

impl Facts {
    /// Those that wait in line may have a stream.
    fn has_room(&self) {
        if let Some(shared) = self.shared.get().and_then(Weak::upgrade) {
            shared.slot.has_room();
        }
    }
}

impl Shared {
    pub(crate) fn new(spoken: Spoken, peer: Option<IpAddr>, slot: Slot) -> Arc<Self> {
        let Spoken { sender, facts, received, alive } = spoken;
        let shared = Arc::new(Shared {
            sender,
            facts,
            peer,
            born: Instant::now(),
            streams: AtomicUsize::new(0),
            served: AtomicU64::new(0),
            received,
            distrusted: AtomicBool::new(false),
            slot,
            _alive: alive,
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
        !self.sender.is_closed()
            && !self.distrusted.load(Ordering::Relaxed)
            && settings.max_age.is_none_or(|age| self.born.elapsed() < age)
            && settings.max_requests.is_none_or(|most| self.served.load(Ordering::Relaxed) < most)
    }

    /// Whether its tasks have ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed()
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
        Some(Stream { shared: self.clone(), sender: self.sender.clone(), number })
    }
}

impl Stream {
    pub(crate) async fn send(
        &mut self,
        request: Request<UploadBody>,
    ) -> Result<Response<Incoming>, TrySendError<Request<UploadBody>>> {
        self.sender.try_send_request(request).await
    }

    /// Whether the connection had served a request before this one.
    pub(crate) fn is_reused(&self) -> bool {
        self.number > 1
    }

    pub(crate) fn peer(&self) -> Option<IpAddr> {
        self.shared.peer
    }

    /// Bytes that have come over its connection so far.
    pub(crate) fn heard(&self) -> u64 {
        self.shared.received.load(Ordering::Relaxed)
    }

    /// Its connection is to serve no further request.
    pub(crate) fn distrust(&self) {
        self.shared.distrusted.store(true, Ordering::Relaxed);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.shared.streams.fetch_sub(1, Ordering::Relaxed);
        self.shared.slot.has_room();
    }
}

/// Whether the upstream said that it has not looked at the request: it may be sent again, whatever
/// it asks for (RFC 9113 section 8.7).
pub(crate) fn is_unprocessed(err: &h2::Error) -> bool {
    let refused = err.is_reset() && err.reason() == Some(h2::Reason::REFUSED_STREAM);
    err.is_remote() && (refused || err.is_go_away())
}

/// Runs the tasks that hyper starts for a connection.
#[derive(Clone, Debug)]
struct Spawner {
    alive: watch::Receiver<()>,
    facts: Arc<Facts>,
}

impl<F> Executor<F> for Spawner
where
    F: Future + Send + 'static,
{
    fn execute(&self, future: F) {
        let facts = self.facts.clone();
        spawn_while(self.alive.clone(), async move {
            let mut future = pin!(future);
            poll_fn(|cx| {
                let outcome = future.as_mut().poll(cx).map(|_| ());
                // hyper reads in one of these tasks and tells nobody of the SETTINGS or the GOAWAY
                // that came.
                facts.activity.wake();
                outcome
            })
            .await;
        });
    }
}

/// Runs a task for as long as somebody holds the connection.
fn spawn_while(mut alive: watch::Receiver<()>, task: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(async move {
        tokio::select! {
            _ = alive.changed() => {}
            () = task => {}
        }
    });
}
