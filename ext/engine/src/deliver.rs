//! Writing a response to its client's socket, without the thread that asked for it.
//!
//! The socket comes as a duplicate, and the head has been written, or comes along. A task reads the
//! exchange as a thread would, frames what is read, and writes it. That a body was cut short is
//! seen by the missing end of its framing, or where only the connection's end tells, by a reset.

pub(crate) mod socket;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use crate::drain::Drain;
use crate::error::{Failure, Kind, Phase};
use crate::exchange::{BodyEvent, Exchange};
use socket::ClientSocket;

/// Bytes that are read at once.
const PIECE: usize = 32 * 1024;
/// How long a client may take to end its side once it has the whole response.
const LINGER: Duration = Duration::from_secs(2);

/// How a body is marked off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFraming {
    /// By its length, which the head has told.
    Length,
    /// In chunks (RFC 9112 section 7.1).
    Chunks,
    /// By the connection's end.
    End,
}

/// What is to be written, and how.
#[derive(Debug)]
pub struct Delivery {
    /// A duplicate of the client's socket.
    pub socket: OwnedFd,
    /// The head, unless it has been written.
    pub head: Bytes,
    /// The body's framing.
    pub framing: BodyFraming,
    /// How long the client may take nothing of what waits for it.
    pub send_timeout: Option<Duration>,
    /// How long it may go on when the process is to end.
    pub drain_timeout: Duration,
    /// The upstream, for messages.
    pub upstream: String,
}

impl Delivery {
    /// Writes the response to its end, closes the exchange and the socket, and says how it ended.
    pub(crate) async fn run(
        self,
        exchange: Arc<Mutex<Exchange>>,
        drain: &Drain,
    ) -> Result<(), Failure> {
        let outcome = self.write(&exchange, drain).await;
        lock(&exchange).close();
        outcome
    }

    async fn write(self, exchange: &Mutex<Exchange>, drain: &Drain) -> Result<(), Failure> {
        let Delivery { socket, head, framing, send_timeout, drain_timeout, upstream } = self;
        let client = Client { send_timeout, upstream };
        let socket = ClientSocket::new(socket).map_err(|err| client.lost(&err.to_string()))?;
        if framing == BodyFraming::End {
            socket.reset_on_close(true);
        }
        let mut over = pin!(drain.over(drain_timeout));
        let outcome = tokio::select! {
            biased;
            outcome = client.pass_on(&socket, head, framing, exchange) => outcome,
            () = socket.closed() => Err(client.lost("the client left before the response's end")),
            () = &mut over => Err(client.cut(drain_timeout)),
        };
        if outcome.is_ok() {
            socket.reset_on_close(false);
            tokio::select! {
                _ = timeout(LINGER, socket.finish()) => {}
                () = over => {}
            }
        }
        outcome
    }
}

/// Who is written to.
#[derive(Debug)]
struct Client {
    send_timeout: Option<Duration>,
    upstream: String,
}

impl Client {
    async fn pass_on(
        &self,
        socket: &ClientSocket,
        head: Bytes,
        framing: BodyFraming,
        exchange: &Mutex<Exchange>,
    ) -> Result<(), Failure> {
        if !head.is_empty() {
            self.send(socket, vec![head]).await?;
        }
        while let Some(parts) = next(exchange).await? {
            let parts = if framing == BodyFraming::Chunks { chunk(parts) } else { parts };
            self.send(socket, parts).await?;
        }
        if framing == BodyFraming::Chunks {
            self.send(socket, vec![Bytes::from_static(b"0\r\n\r\n")]).await?;
        }
        Ok(())
    }

    async fn send(&self, socket: &ClientSocket, parts: Vec<Bytes>) -> Result<(), Failure> {
        let mut parts = VecDeque::from(parts);
        while !parts.is_empty() {
            let sent = socket.send(&mut parts);
            let sent = match self.send_timeout {
                None => sent.await,
                Some(limit) => match timeout(limit, sent).await {
                    Ok(sent) => sent,
                    Err(_) => return Err(self.stalled(limit)),
                },
            };
            sent.map_err(|err| self.lost(&err.to_string()))?;
        }
        Ok(())
    }

    fn lost(&self, detail: &str) -> Failure {
        Failure::new(Kind::ClientGone, Phase::Body, &self.upstream, detail)
    }

    fn cut(&self, limit: Duration) -> Failure {
        let detail = format!(
            "the process ended before the response, which had {} s for the rest (drain_timeout)",
            limit.as_secs_f64()
        );
        Failure::new(Kind::Shutdown, Phase::Body, &self.upstream, detail)
    }

    fn stalled(&self, limit: Duration) -> Failure {
        self.lost(&format!("the client took nothing for {} s (send_timeout)", limit.as_secs_f64()))
    }
}

/// What of the body is here next; none at its end.
async fn next(exchange: &Mutex<Exchange>) -> Result<Option<Vec<Bytes>>, Failure> {
    poll_fn(|cx| {
        let mut exchange = lock(exchange);
        // Before the look: a change after it wakes this task.
        exchange.wake_on_change(cx.waker());
        match exchange.read(PIECE) {
            Ok(BodyEvent::Chunks(parts)) => Poll::Ready(Ok(Some(parts))),
            Ok(BodyEvent::End) => Poll::Ready(Ok(None)),
            Ok(BodyEvent::Again) => Poll::Pending,
            Err(failure) => Poll::Ready(Err(failure)),
        }
    })
    .await
}

/// One chunk of all parts.
fn chunk(parts: Vec<Bytes>) -> Vec<Bytes> {
    let length: usize = parts.iter().map(Bytes::len).sum();
    let mut framed = Vec::with_capacity(parts.len() + 2);
    framed.push(Bytes::from(format!("{length:x}\r\n")));
    framed.extend(parts);
    framed.push(Bytes::from_static(b"\r\n"));
    framed
}

fn lock(exchange: &Mutex<Exchange>) -> MutexGuard<'_, Exchange> {
    exchange.lock().unwrap_or_else(PoisonError::into_inner)
}
