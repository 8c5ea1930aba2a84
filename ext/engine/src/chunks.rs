//! The byte-bounded hand-off of a response from the engine to the thread that reads it.
//!
//! [`Outbox`] is the engine's end (async, waits for room), [`Inbox`] the reader's (never waits). At
//! most about `limit` bytes are held before the outbox waits, plus the one frame that crossed the
//! limit; what a message costs beside its payload is counted. Everything that the reader must
//! learn, in the order in which it happened, goes through this one queue: the head, chunks, a
//! request to send the body again, the end. [`Announcer`] puts there what comes before the head.

mod announcer;
mod inbox;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;

use crate::destination::Question;
use crate::error::{Failure, Kind, Phase};
use crate::headers::{Fields, ResponseHead};
use crate::signal::Signal;
use crate::sync::{AtomicBool, AtomicUsize, AtomicWaker, Ordering, Sender, unbounded};
use crate::tunnel::Switched;

pub(crate) use announcer::Announcer;
pub(crate) use inbox::Inbox;

/// Bytes that wait for a reader at the most, besides the piece that crosses the limit.
pub(crate) const QUEUE: usize = 256 * 1024;
/// What a queued message costs beside its payload, about: itself and its block in the queue.
const OVERHEAD: usize = 128;
/// A chunk of less is copied: it would keep all of hyper's read buffer alive.
const SMALL: usize = 8 * 1024;

/// What a queued chunk counts for, in bytes.
pub(crate) fn cost(chunk: &Bytes) -> usize {
    chunk.len() + OVERHEAD
}

/// What the engine tells the reader.
#[derive(Debug)]
pub(crate) enum Message {
    Head(Box<ResponseHead>),
    /// The connection of the 101 whose head comes next.
    Switched(Box<Switched>),
    Chunk(Bytes),
    /// The body must be sent again from its first byte.
    Rewind,
    /// The upstream wants the body of a request that expects to be asked for it.
    Continue,
    /// The fields of a 103 (RFC 8297).
    EarlyHints(Fields),
    /// Which addresses may be connected to.
    Permit(Question),
    End(Result<(), Box<Failure>>),
}

#[derive(Debug)]
struct Shared {
    queued: AtomicUsize,
    limit: AtomicUsize,
    room: AtomicWaker,
    reader_gone: AtomicBool,
    signal: Arc<Signal>,
}

/// A pair of ends between which at most about `limit` bytes wait.
///
/// `upstream` names the exchange in the failure that the reader gets if the engine's end is
/// dropped before it said how the exchange ended.
pub(crate) fn channel(limit: usize, signal: Arc<Signal>, upstream: &str) -> (Outbox, Inbox) {
    let (sender, receiver) = unbounded();
    let shared = Arc::new(Shared {
        queued: AtomicUsize::new(0),
        limit: AtomicUsize::new(limit),
        room: AtomicWaker::new(),
        reader_gone: AtomicBool::new(false),
        signal,
    });
    let inbox = Inbox::new(receiver, shared.clone());
    let upstream = upstream.to_owned();
    (Outbox { sender, shared, upstream, dirty: false, ended: false }, inbox)
}

/// The engine's end. Dropped without an end, it tells the reader of a defect.
#[derive(Debug)]
pub(crate) struct Outbox {
    sender: Sender<Message>,
    shared: Arc<Shared>,
    upstream: String,
    dirty: bool,
    ended: bool,
}

impl Outbox {
    /// Queues the head; the reader learns of it at the next [`Outbox::flush`].
    pub(crate) fn head(&mut self, head: ResponseHead) {
        self.push(Message::Head(Box::new(head)));
    }

    /// Leaves the connection of a 101 to the reader, whom its head follows.
    pub(crate) fn switched(&mut self, switched: Switched) {
        self.push(Message::Switched(Box::new(switched)));
    }

    /// Asks the reader to send the request's body again, at once.
    pub(crate) fn rewind(&mut self) {
        self.push(Message::Rewind);
        self.flush();
    }

    /// Queues a chunk, waiting first for room. The reader learns of it at the next flush, or when
    /// the queue is full.
    pub(crate) async fn chunk(&mut self, bytes: Bytes) {
        self.room().await;
        let bytes = if bytes.len() < SMALL { Bytes::copy_from_slice(&bytes) } else { bytes };
        self.shared.queued.fetch_add(cost(&bytes), Ordering::AcqRel);
        self.push(Message::Chunk(bytes));
    }

    /// Waits for room. What is fetched only then is not held besides what is queued.
    pub(crate) async fn room(&mut self) {
        if self.has_room() {
            return;
        }
        self.flush();
        let shared = &self.shared;
        poll_fn(|cx| {
            shared.room.register(cx.waker());
            if shared.has_room() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// How many bytes may wait for the reader, about.
    pub(crate) fn limit(&self) -> usize {
        self.shared.limit.load(Ordering::Acquire)
    }

    /// Whether the next chunk would be taken without waiting.
    pub(crate) fn has_room(&self) -> bool {
        self.shared.has_room()
    }

    /// Wakes the reader if it has not heard of everything that was queued.
    pub(crate) fn flush(&mut self) {
        if self.dirty {
            self.dirty = false;
            self.shared.signal.notify();
        }
    }

    /// Says how the exchange ended; nothing may follow.
    pub(crate) fn end(&mut self, outcome: Result<(), Failure>) {
        if !self.ended {
            self.ended = true;
            self.push(Message::End(outcome.map_err(Box::new)));
            self.flush();
        }
    }

    /// Another way in, for what comes before the head.
    pub(crate) fn announcer(&self) -> Announcer {
        Announcer::new(self.sender.clone(), self.shared.clone())
    }

    fn push(&mut self, message: Message) {
        self.dirty = true;
        // The reader's end may be gone already: nobody wants the message then.
        let _ = self.sender.send(message);
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        // Reached without an end only when the task was cancelled (nobody reads) or panicked.
        let defect = "could not be served: the engine's task ended without an answer";
        self.end(Err(Failure::new(Kind::Internal, Phase::Head, &self.upstream.clone(), defect)));
    }
}

impl Shared {
    fn has_room(&self) -> bool {
        self.queued.load(Ordering::Acquire) < self.limit.load(Ordering::Acquire)
            || self.reader_gone.load(Ordering::Acquire)
    }
}

#[cfg(all(test, rsp_loom))]
mod models;

#[cfg(test)]
mod tests;
