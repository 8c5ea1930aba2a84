//! Writing a response to its client's socket, without the thread that asked for it.
//!
//! The socket comes as a duplicate, and the head has been written, or comes along. A task reads the
//! exchange as a thread would, frames what is read, and writes it. That a body was cut short is
//! seen by the missing end of its framing, or where only the connection's end tells, by a reset.

mod lingering;
mod pace;
mod reply;
pub(crate) mod socket;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use crate::drain::Drain;
use crate::error::{Failure, Kind, Phase};
use crate::exchange::{BodyEvent, Exchange};
use lingering::Written;
use pace::Pace;
use socket::ClientSocket;

pub(crate) use lingering::conclude;
pub use reply::Reply;

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
    /// Bytes a second that it has to take of what waits for it.
    pub min_send_rate: Option<u64>,
    /// The upstream, for messages.
    pub upstream: String,
}

impl Delivery {
    /// Writes the response to its end and closes the exchange.
    pub(crate) async fn run(self, exchange: Arc<Mutex<Exchange>>, drain: &Drain) -> Written {
        let written = self.write(&exchange, drain).await;
        lock(&exchange).close();
        written
    }

    async fn write(self, exchange: &Mutex<Exchange>, drain: &Drain) -> Written {
        let upstream = &self.upstream;
        let (framing, drain_timeout) = (self.framing, self.drain_timeout);
        let pace = Pace::new(self.min_send_rate);
        let mut client = Client {
            send_timeout: self.send_timeout,
            min_send_rate: self.min_send_rate,
            pace,
            upstream,
        };
        let socket =
            ClientSocket::new(self.socket).map_err(|err| lost(upstream, &err.to_string()))?;
        socket.hold_little(true);
        if framing == BodyFraming::End {
            socket.reset_on_close(true);
        }
        let outcome = tokio::select! {
            biased;
            outcome = client.pass_on(&socket, self.head, framing, exchange) => outcome,
            () = socket.closed() => {
                Err(lost(upstream, "the client left before the response's end"))
            }
            () = drain.over(drain_timeout) => Err(cut(upstream, drain_timeout)),
        };
        ended(socket, framing, outcome)
    }
}

/// Who is written to.
#[derive(Debug)]
struct Client<'a> {
    send_timeout: Option<Duration>,
    min_send_rate: Option<u64>,
    pace: Pace,
    upstream: &'a str,
}

impl Client<'_> {
    async fn pass_on(
        &mut self,
        socket: &ClientSocket,
        head: Bytes,
        framing: BodyFraming,
        exchange: &Mutex<Exchange>,
    ) -> Result<(), Failure> {
        if !head.is_empty() {
            self.send(socket, vec![head]).await?;
        }
        while let Some(parts) = next(exchange, self.pace.piece()).await? {
            let parts = if framing == BodyFraming::Chunks { chunk(parts) } else { parts };
            self.send(socket, parts).await?;
        }
        if framing == BodyFraming::Chunks {
            self.send(socket, vec![Bytes::from_static(b"0\r\n\r\n")]).await?;
        }
        Ok(())
    }

    async fn send(&mut self, socket: &ClientSocket, parts: Vec<Bytes>) -> Result<(), Failure> {
        let mut parts = VecDeque::from(parts);
        while !parts.is_empty() {
            let began = Instant::now();
            let (sent, waiting) = self.send_some(socket, &mut parts, began).await?;
            let kept_up = self.pace.took(sent, waiting.elapsed());
            self.kept_up(kept_up)?;
        }
        if self.pace.proves() {
            socket.hold_little(false);
        }
        Ok(())
    }

    /// How much was sent, and since when that has waited, as far as it has not been counted yet.
    async fn send_some(
        &mut self,
        socket: &ClientSocket,
        parts: &mut VecDeque<Bytes>,
        began: Instant,
    ) -> Result<(usize, Instant), Failure> {
        let stalled = self.send_timeout.and_then(|limit| began.checked_add(limit));
        let mut waiting = began;
        loop {
            let due = stalled.into_iter().chain(self.pace.window_ends(waiting)).min();
            let sent = socket.send(parts);
            let sent = match due {
                None => Ok(sent.await),
                Some(due) => timeout_at(due, sent).await,
            };
            if let Ok(sent) = sent {
                let sent = sent.map_err(|err| lost(self.upstream, &err.to_string()))?;
                return Ok((sent, waiting));
            }
            let now = Instant::now();
            if stalled.is_some_and(|limit| limit <= now) {
                return Err(self.stalled());
            }
            let kept_up = self.pace.waited(now - waiting);
            self.kept_up(kept_up)?;
            waiting = now;
        }
    }

    fn stalled(&self) -> Failure {
        let limit = self.send_timeout.unwrap_or_default().as_secs_f64();
        lost(self.upstream, &format!("the client took nothing for {limit} s (send_timeout)"))
    }

    fn kept_up(&self, kept_up: bool) -> Result<(), Failure> {
        if kept_up {
            return Ok(());
        }
        let rate = self.min_send_rate.unwrap_or_default();
        let detail = format!("the client took less than {rate} bytes a second (min_send_rate)");
        Err(lost(self.upstream, &detail))
    }
}

/// Shows the client what has been cut short, although a forked child may have a duplicate of the
/// socket, and then closing it ends nothing.
fn ended(socket: ClientSocket, framing: BodyFraming, outcome: Result<(), Failure>) -> Written {
    if framing == BodyFraming::End {
        socket.tell_end(outcome.is_ok());
    } else if outcome.is_err() {
        // Fails only where the client has left.
        let _ = socket.end();
    }
    outcome.map(|()| socket)
}

fn cut(upstream: &str, limit: Duration) -> Failure {
    let detail = format!(
        "the process ended before the response, which had {} s for the rest (drain_timeout)",
        limit.as_secs_f64()
    );
    Failure::new(Kind::Shutdown, Phase::Body, upstream, detail)
}

fn lost(upstream: &str, detail: &str) -> Failure {
    Failure::new(Kind::ClientGone, Phase::Body, upstream, detail)
}

/// What of the body is here next, up to `most` bytes; none at its end.
async fn next(exchange: &Mutex<Exchange>, most: usize) -> Result<Option<Vec<Bytes>>, Failure> {
    poll_fn(|cx| {
        let mut exchange = lock(exchange);
        // Before the look: a change after it wakes this task.
        exchange.wake_on_change(cx.waker());
        match exchange.read_little(most) {
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

pub(crate) fn lock(exchange: &Mutex<Exchange>) -> MutexGuard<'_, Exchange> {
    exchange.lock().unwrap_or_else(PoisonError::into_inner)
}
