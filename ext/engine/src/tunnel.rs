//! Both directions between a client and an upstream that has changed protocols (RFC 9110 section
//! 7.8), without the thread that asked for it.
//!
//! Bytes are passed on as they come, unread. A direction that has ended is ended on the other side,
//! the other direction goes on. Buffers live for as long as there is something in them: a tunnel
//! that waits holds none.

use std::future::{Future, pending, poll_fn};
use std::io;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::deliver::lock;
use crate::deliver::socket::ClientSocket;
use crate::drain::Drain;
use crate::error::{Failure, Kind, Phase};
use crate::exchange::Exchange;
use crate::report::{Ledger, Report};
use crate::stats::{Counted, Guard, Stats};

/// Bytes of one direction that are read at once, and the most that wait to be written.
const PIECE: usize = 16 * 1024;

type Stream = TokioIo<Upgraded>;

/// The upstream's side of an exchange that has changed protocols. Dropped, it ends the connection.
#[derive(Debug)]
pub(crate) struct Switched {
    /// Nobody locks it: only in a Mutex may threads share what holds it.
    pub(crate) stream: Mutex<Stream>,
    /// Whether a write to the upstream has failed, which the stream itself does not tell.
    pub(crate) write_failed: Arc<AtomicBool>,
    pub(crate) ledger: Ledger,
    pub(crate) stats: Arc<Stats>,
    pub(crate) connection: Guard,
    pub(crate) counted: Counted,
}

/// The client's side of a tunnel.
#[derive(Debug)]
pub struct Tunnel {
    /// A duplicate of the client's socket.
    pub socket: OwnedFd,
    /// The head of the 101, to be written first.
    pub head: Bytes,
    /// What the client has sent behind its request.
    pub early: Bytes,
    /// How long no byte may move in either direction.
    pub idle_timeout: Option<Duration>,
    /// The same once one direction has ended: who is left may never hear or heed that.
    pub half_closed_timeout: Option<Duration>,
    /// The upstream, for messages.
    pub upstream: String,
}

/// What both directions share.
#[derive(Debug)]
struct Shared {
    ledger: Ledger,
    stats: Arc<Stats>,
    write_failed: Arc<AtomicBool>,
    upstream: String,
    moved: Mutex<Instant>,
    idle_timeout: Option<Duration>,
    half_closed_timeout: Option<Duration>,
    half_closed: AtomicBool,
    ended: Notify,
}

/// How a direction ended that did not fail to be read: what it leads to may have been lost.
type Written = Result<(), Failure>;

impl Tunnel {
    /// Passes bytes on until both directions have ended, closes the exchange and the socket, and says
    /// how it ended.
    pub(crate) async fn run(
        self,
        exchange: Arc<Mutex<Exchange>>,
        drain: &Drain,
    ) -> Result<(), Failure> {
        let switched = lock(&exchange).take_switched();
        let outcome = match switched {
            Some(switched) => self.connect(switched, drain).await,
            None => {
                let detail = "has no connection to be tunnelled: a defect";
                Err(Failure::new(Kind::Internal, Phase::Body, &self.upstream, detail))
            }
        };
        lock(&exchange).close();
        outcome
    }

    async fn connect(self, switched: Switched, drain: &Drain) -> Result<(), Failure> {
        let Switched { stream, write_failed, ledger, stats, connection, counted } = switched;
        let (reader, writer) = split(stream.into_inner().unwrap_or_else(PoisonError::into_inner));
        let Tunnel { socket, head, early, idle_timeout, half_closed_timeout, upstream } = self;
        let shared = Shared {
            ledger,
            stats,
            write_failed,
            upstream,
            moved: Mutex::new(Instant::now()),
            idle_timeout,
            half_closed_timeout,
            half_closed: AtomicBool::new(false),
            ended: Notify::new(),
        };
        let outcome = match ClientSocket::new(socket) {
            Ok(socket) => {
                // What was cut short must not look whole, whatever ends it.
                socket.reset_on_close(true);
                let outcome = tokio::select! {
                    biased;
                    outcome = shared.pass_on(&socket, (reader, head), (writer, early)) => outcome,
                    failure = shared.idle() => Err(failure),
                    () = drain.over(Duration::ZERO) => Err(shared.cut()),
                };
                socket.tell_end(outcome.is_ok());
                outcome
            }
            Err(err) => Err(shared.client_lost(&err)),
        };
        drop(connection);
        counted.end(&outcome, true);
        outcome
    }
}

impl Shared {
    async fn pass_on(
        &self,
        socket: &ClientSocket,
        (reader, head): (ReadHalf<Stream>, Bytes),
        (writer, early): (WriteHalf<Stream>, Bytes),
    ) -> Result<(), Failure> {
        let (up, down) = tokio::try_join!(
            self.to_its_end(self.up(socket, writer, early)),
            self.to_its_end(self.down(socket, reader, head))
        )?;
        down.and(up)
    }

    /// From the client to the upstream. An upstream that takes no more may have said why: what it has
    /// sent is still passed on, until that ends as well.
    async fn up(
        &self,
        socket: &ClientSocket,
        mut writer: WriteHalf<Stream>,
        early: Bytes,
    ) -> Result<Written, Failure> {
        let mut piece = early;
        loop {
            if !piece.is_empty() {
                if let Err(err) = self.send_up(&mut writer, &piece).await {
                    return Ok(Err(self.upstream_lost(&err)));
                }
                self.passed(&piece, |stats| &stats.bytes_up, |report| &mut report.bytes_up);
            }
            piece = socket.receive(PIECE).await.map_err(|err| self.client_lost(&err))?;
            if piece.is_empty() {
                let ended = writer.shutdown().await;
                return Ok(ended.map_err(|err| self.upstream_lost(&err)));
            }
            self.moved();
        }
    }

    async fn send_up(&self, writer: &mut WriteHalf<Stream>, piece: &[u8]) -> io::Result<()> {
        writer.write_all(piece).await?;
        writer.flush().await?;
        if self.write_failed.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(())
    }

    /// From the upstream to the client. So for a client that takes no more.
    async fn down(
        &self,
        socket: &ClientSocket,
        mut reader: ReadHalf<Stream>,
        head: Bytes,
    ) -> Result<Written, Failure> {
        if let Err(err) = socket.send_all(head).await {
            return Ok(Err(self.client_lost(&err)));
        }
        loop {
            let piece = next(&mut reader).await.map_err(|err| self.upstream_lost(&err))?;
            if piece.is_empty() {
                return Ok(socket.end().map_err(|err| self.client_lost(&err)));
            }
            self.moved();
            if let Err(err) = socket.send_all(piece.clone()).await {
                return Ok(Err(self.client_lost(&err)));
            }
            self.passed(&piece, |stats| &stats.bytes_down, |report| &mut report.bytes_down);
        }
    }

    fn passed(
        &self,
        piece: &Bytes,
        counter: fn(&Stats) -> &AtomicU64,
        reported: fn(&mut Report) -> &mut u64,
    ) {
        let length = piece.len() as u64;
        counter(&self.stats).fetch_add(length, Ordering::Relaxed);
        *reported(&mut self.ledger.lock()) += length;
        self.moved();
    }

    fn moved(&self) {
        *self.moved.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    async fn to_its_end<T>(&self, direction: impl Future<Output = T>) -> T {
        let ended = direction.await;
        self.half_closed.store(true, Ordering::Relaxed);
        self.moved();
        self.ended.notify_one();
        ended
    }

    /// Resolves when nothing has moved for so long as may be.
    async fn idle(&self) -> Failure {
        loop {
            let moved = *self.moved.lock().unwrap_or_else(PoisonError::into_inner);
            let limit = self.limit();
            let due = limit.and_then(|(limit, _)| moved.checked_add(limit));
            if let Some((limit, rule)) =
                limit.filter(|_| due.is_some_and(|due| due <= Instant::now()))
            {
                let detail = format!("moved no byte for {} s ({rule})", limit.as_secs_f64());
                return Failure::new(Kind::Timeout, Phase::Idle, &self.upstream, detail);
            }
            tokio::select! {
                () = until(due) => {}
                () = self.ended.notified() => {}
            }
        }
    }

    /// How long nothing may move, and what says so.
    fn limit(&self) -> Option<(Duration, &'static str)> {
        let idle = self.idle_timeout.map(|limit| (limit, "tunnel_timeout"));
        let half_closed = self.half_closed.load(Ordering::Relaxed);
        let rule = "idle_timeout, for one side has ended its direction";
        let other = self.half_closed_timeout.filter(|_| half_closed).map(|limit| (limit, rule));
        idle.into_iter().chain(other).min()
    }

    /// No time would be enough for a tunnel to come to its end.
    fn cut(&self) -> Failure {
        let detail = "the process ends, and the tunnel with it";
        Failure::new(Kind::Shutdown, Phase::Body, &self.upstream, detail)
    }

    fn client_lost(&self, err: &io::Error) -> Failure {
        let detail = format!("the client left the tunnel: {err}");
        Failure::new(Kind::ClientGone, Phase::Body, &self.upstream, detail)
    }

    fn upstream_lost(&self, err: &io::Error) -> Failure {
        Failure::io(Kind::Protocol, Phase::Body, &self.upstream, "broke the tunnel off", err)
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => pending().await,
    }
}

/// The upstream's next bytes; none at its end.
async fn next(reader: &mut ReadHalf<Stream>) -> io::Result<Bytes> {
    poll_fn(|cx| {
        let mut piece = BytesMut::with_capacity(PIECE);
        let read = pin!(reader.read_buf(&mut piece));
        ready!(read.poll(cx))?;
        Poll::Ready(Ok(piece.freeze()))
    })
    .await
}
