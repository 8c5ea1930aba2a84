//! The byte-bounded hand-off of a response from the engine to the thread that reads it.
//!
//! [`Outbox`] is the engine's end (async, waits for room), [`Inbox`] the reader's (never waits). At
//! most about `limit` bytes are held before the outbox waits, plus the one frame that crossed the
//! limit; what a message costs beside its payload is counted. Everything that the reader must
//! learn, in the order in which it happened, goes through this one queue: the head, chunks, a
//! request to send the body again, the end. [`Announcer`] puts there what comes before the head.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};

use bytes::Bytes;

use crate::destination::Question;
use crate::error::{Failure, Kind, Phase};
use crate::headers::{Fields, ResponseHead};
use crate::signal::Signal;
use crate::sync::{
    AtomicBool, AtomicUsize, AtomicWaker, Ordering, Receiver, Sender, never, unbounded,
};
use crate::tunnel::Switched;

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
    let inbox = Inbox { receiver, shared: shared.clone(), ahead: VecDeque::new() };
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
        Announcer { sender: self.sender.clone(), shared: self.shared.clone() }
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

/// Tells the reader what precedes the head, at once.
#[derive(Debug)]
pub(crate) struct Announcer {
    sender: Sender<Message>,
    shared: Arc<Shared>,
}

impl Announcer {
    /// Says that the body is wanted.
    pub(crate) fn proceed(&self) {
        self.announce(Message::Continue);
    }

    /// Passes the fields of a 103 on. A reader that is far behind does not get them: they are
    /// hints, and nothing here can wait.
    pub(crate) fn early_hints(&self, fields: Fields) {
        if self.shared.has_room() {
            self.shared.queued.fetch_add(cost_of(&fields), Ordering::AcqRel);
            self.announce(Message::EarlyHints(fields));
        }
    }

    /// Asks which addresses may be connected to. A reader that has gone drops the question.
    pub(crate) fn ask(&self, question: Question) {
        self.announce(Message::Permit(question));
    }

    fn announce(&self, message: Message) {
        let _ = self.sender.send(message);
        self.shared.signal.notify();
    }
}

/// What queued fields count for, in bytes.
fn cost_of(fields: &Fields) -> usize {
    let lines = fields.iter().map(|(name, value)| name.as_str().len() + value.len() + OVERHEAD);
    OVERHEAD + lines.sum::<usize>()
}

impl Shared {
    fn has_room(&self) -> bool {
        self.queued.load(Ordering::Acquire) < self.limit.load(Ordering::Acquire)
            || self.reader_gone.load(Ordering::Acquire)
    }
}

/// The reader's end.
#[derive(Debug)]
pub(crate) struct Inbox {
    receiver: Receiver<Message>,
    shared: Arc<Shared>,
    /// Messages taken off the queue and not yet asked for.
    ahead: VecDeque<Message>,
}

impl Inbox {
    /// The next message, or `None` after arming the signal.
    pub(crate) fn next(&mut self) -> Option<Message> {
        self.peek()?;
        let message = self.ahead.pop_front();
        if let Some(Message::EarlyHints(fields)) = &message {
            self.release(cost_of(fields));
        }
        message
    }

    /// Chunks that are here, up to `max` bytes together; empty if the next message is another.
    /// `None` after arming the signal, when nothing is here.
    pub(crate) fn chunks(&mut self, max: usize) -> Option<Vec<Bytes>> {
        self.peek()?;
        let mut parts = Vec::new();
        let mut room = max;
        while room > 0 {
            let Some(Message::Chunk(bytes)) = self.peek_now() else { break };
            let part = if bytes.len() <= room {
                let Some(Message::Chunk(whole)) = self.ahead.pop_front() else { break };
                self.release(cost(&whole));
                whole
            } else {
                let part = bytes.split_to(room);
                self.release(part.len());
                part
            };
            room -= part.len();
            parts.push(part);
        }
        Some(parts)
    }

    /// Has about so many bytes wait at the most, from now on.
    pub(crate) fn limit_to(&self, bytes: usize) {
        if self.shared.limit.swap(bytes, Ordering::AcqRel) < bytes {
            self.shared.room.wake();
        }
    }

    /// Wakes a task when the signal rings.
    pub(crate) fn wake_on_change(&self, task: &Waker) {
        self.shared.signal.wake(task);
    }

    /// Wakes a task once when something is here, at once if it is.
    pub(crate) fn wake_when_ready(&mut self, task: &Waker) {
        self.wake_on_change(task);
        if self.peek().is_some() {
            task.wake_by_ref();
        }
    }

    /// Wakes who waits for what comes, though nothing does.
    pub(crate) fn wake(&self) {
        self.shared.signal.notify();
    }

    /// Whether the last message is here, and says that all is well.
    pub(crate) fn is_whole(&mut self) -> bool {
        self.ahead.extend(self.receiver.try_iter());
        matches!(self.ahead.back(), Some(Message::End(Ok(()))))
    }

    /// Bytes of a body that may wait here, of this length if it is known.
    pub(crate) fn bound(&self, body: bool, length: Option<u64>) -> usize {
        let most = if body { self.shared.limit.load(Ordering::Acquire) } else { 0 };
        length.and_then(|length| usize::try_from(length).ok()).map_or(most, |len| len.min(most))
    }

    /// Frees what is queued; nobody will read it.
    pub(crate) fn clear(&mut self) {
        self.shared.reader_gone.store(true, Ordering::Release);
        self.ahead.clear();
        // What is still sent goes nowhere: a connection that was switched, or a large piece.
        self.receiver = never();
        self.shared.room.wake();
    }

    fn release(&self, len: usize) {
        self.shared.queued.fetch_sub(len, Ordering::AcqRel);
        self.shared.room.wake();
    }

    fn peek(&mut self) -> Option<&mut Message> {
        if self.peek_now().is_none() {
            self.shared.signal.arm();
        }
        self.peek_now()
    }

    fn peek_now(&mut self) -> Option<&mut Message> {
        if self.ahead.is_empty() {
            self.ahead.push_back(self.receiver.try_recv().ok()?);
        }
        self.ahead.front_mut()
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(all(test, rsp_loom))]
mod models;

#[cfg(test)]
mod tests;
