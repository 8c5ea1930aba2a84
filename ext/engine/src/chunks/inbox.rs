//! The reader's end of a response's hand-off, which never waits.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use bytes::Bytes;

use super::announcer::cost_of;
use super::{Message, Shared, cost};
use crate::sync::{Ordering, Receiver, never};

/// The reader's end.
#[derive(Debug)]
pub(crate) struct Inbox {
    receiver: Receiver<Message>,
    pub(super) shared: Arc<Shared>,
    /// Messages taken off the queue and not yet asked for.
    ahead: VecDeque<Message>,
}

impl Inbox {
    pub(super) fn new(receiver: Receiver<Message>, shared: Arc<Shared>) -> Self {
        Inbox { receiver, shared, ahead: VecDeque::new() }
    }

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
