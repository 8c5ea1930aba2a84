//! The request's body on its way up: written by the reader's thread, read by a
//! connection.
//!
//! [`Upload`] is shared by both ends. The writer never waits: `write` refuses when `limit` bytes
//! are queued. The engine's end is one [`UploadBody`] for each attempt; only the newest attempt may
//! take bytes. What was taken is [`kept`] while it is little, so that a retry can send it again;
//! past that a retry needs the writer to begin again (a new *pass*).

mod body;
mod kept;
mod progress;

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use atomic_waker::AtomicWaker;
use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, unbounded};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::chunks::cost;
use crate::signal::Signal;
use crate::stats::Stats;

pub(crate) use body::UploadBody;
pub(crate) use progress::UploadError;

use kept::Kept;
use progress::Progress;

/// The body that a request has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// No body.
    None,
    /// A body of exactly so many bytes.
    Length(u64),
    /// A body whose length is not known.
    Chunked,
}

/// What became of a chunk that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is queued.
    Taken,
    /// Not now (the queue is full, or no connection is permitted yet); the signal rings then.
    Again,
    /// Nobody wants the body any more.
    Stopped,
}

#[derive(Debug)]
enum Piece {
    Chunk(Bytes),
    End,
    Failed(String),
}

/// The shared state of one exchange's request body.
#[derive(Debug)]
pub(crate) struct Upload {
    kind: BodyKind,
    limit: usize,
    sender: Sender<(u32, Piece)>,
    receiver: Receiver<(u32, Piece)>,
    queued: AtomicUsize,
    /// The pass that the writer is in, and the one that the engine wants.
    writing: AtomicU32,
    wanted: AtomicU32,
    attempt: AtomicU32,
    stopped: AtomicBool,
    /// Nothing may be written before a connection is permitted.
    held: AtomicBool,
    data: AtomicWaker,
    completed: Notify,
    signal: Arc<Signal>,
    stats: Arc<Stats>,
    progress: Mutex<Progress>,
}

impl Upload {
    /// The state of a body of this kind, of which at most about `limit` bytes are queued.
    pub(crate) fn new(
        kind: BodyKind,
        limit: usize,
        signal: Arc<Signal>,
        stats: Arc<Stats>,
    ) -> Arc<Self> {
        let (sender, receiver) = unbounded();
        let progress = Progress::of(kind);
        Arc::new(Upload {
            kind,
            limit,
            sender,
            receiver,
            queued: AtomicUsize::new(0),
            writing: AtomicU32::new(0),
            wanted: AtomicU32::new(0),
            attempt: AtomicU32::new(0),
            stopped: AtomicBool::new(kind == BodyKind::None),
            held: AtomicBool::new(false),
            data: AtomicWaker::new(),
            completed: Notify::new(),
            signal,
            stats,
            progress: Mutex::new(progress),
        })
    }

    // ===== the writer's end =====

    /// Whether a write would be taken; arms the signal if not.
    pub(crate) fn ready(&self) -> Written {
        match self.look() {
            Written::Again => {
                self.signal.arm();
                self.look()
            }
            other => other,
        }
    }

    fn look(&self) -> Written {
        if self.stopped.load(Ordering::Acquire) {
            Written::Stopped
        } else if self.held.load(Ordering::Acquire) {
            Written::Again
        } else if self.queued.load(Ordering::Acquire) < self.limit {
            Written::Taken
        } else {
            Written::Again
        }
    }

    /// Keeps the writer from beginning until [`Upload::admit`].
    pub(crate) fn hold(&self) {
        self.held.store(true, Ordering::Release);
    }

    /// Queues the next bytes of the body.
    pub(crate) fn write(&self, bytes: Bytes) -> Written {
        let ready = self.ready();
        if ready == Written::Taken {
            self.queued.fetch_add(cost(&bytes), Ordering::AcqRel);
            self.send(Piece::Chunk(bytes));
        }
        ready
    }

    /// Says that the body has been written whole.
    pub(crate) fn finish(&self) {
        self.send(Piece::End);
    }

    /// Says that the body cannot be read to its end, and why.
    pub(crate) fn fail(&self, reason: String) {
        self.send(Piece::Failed(reason));
    }

    /// Begins the pass that the engine asked for: what is written from now on is the body from
    /// its first byte.
    pub(crate) fn begin_pass(&self) {
        self.writing.store(self.wanted.load(Ordering::Acquire), Ordering::Release);
    }

    /// Bytes that are held.
    pub(crate) fn memory(&self) -> usize {
        match self.kind {
            BodyKind::None => 0,
            _ => self.queued.load(Ordering::Relaxed) + self.lock().kept.memory(),
        }
    }

    /// Frees what is held; nothing of the body is wanted any more.
    pub(crate) fn clear(&self) {
        self.abandon();
        self.receiver.try_iter().for_each(drop);
        self.lock().kept = Kept::default();
    }

    fn send(&self, piece: Piece) {
        // Both ends of the queue live in self: it is never disconnected.
        let _ = self.sender.send((self.writing.load(Ordering::Acquire), piece));
        self.data.wake();
    }

    // ===== the engine's end =====

    /// Lets the writer begin.
    pub(crate) fn admit(&self) {
        if self.held.swap(false, Ordering::AcqRel) {
            self.signal.notify();
        }
    }

    /// The body of the next attempt, and whether the writer must begin a new pass for it. `None`
    /// if what was sent cannot be sent again.
    pub(crate) fn body(self: &Arc<Self>, rewindable: bool) -> Option<(UploadBody, bool)> {
        let mut progress = self.lock();
        let attempt = self.attempt.fetch_add(1, Ordering::AcqRel) + 1;
        let rewind = progress.kept.is_overflowed();
        if rewind {
            if !rewindable {
                return None;
            }
            self.wanted.fetch_add(1, Ordering::AcqRel);
            progress.kept = Kept::default();
        }
        progress.restart(self.kind);
        Some((UploadBody::new(self.clone(), attempt, progress.kept.replay()), rewind))
    }

    /// Whether another attempt could send the body again.
    pub(crate) fn replayable(&self, rewindable: bool) -> bool {
        rewindable || !self.lock().kept.is_overflowed()
    }

    /// Wants no more of the body; the writer is told.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.signal.notify();
    }

    /// Ends the current attempt: what it sends of the body is broken off. An HTTP/1 connection that
    /// was in the middle of it is shut down; this ends an HTTP/2 stream, whose connection lives on.
    pub(crate) fn abandon(&self) {
        self.stop();
        let progress = self.lock();
        self.attempt.fetch_add(1, Ordering::AcqRel);
        drop(progress);
        self.data.wake();
    }

    /// Waits until the last byte has been handed to the connection.
    pub(crate) async fn complete(&self) {
        loop {
            let notified = self.completed.notified();
            if self.is_complete() {
                return;
            }
            notified.await;
        }
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.lock().complete
    }

    /// Why the body could not be sent, if that is why the exchange failed.
    pub(crate) fn error(&self) -> Option<UploadError> {
        self.lock().error.clone()
    }

    /// Bytes that the current attempt has handed to the connection.
    pub(crate) fn sent(&self) -> u64 {
        self.lock().sent
    }

    /// When the upstream last took bytes; now, while it waits for the client's and they are wanted.
    pub(crate) fn last_moved(&self) -> Instant {
        let wanted = !self.stopped.load(Ordering::Acquire);
        let progress = self.lock();
        let waiting = progress.starving && !progress.complete && wanted;
        if waiting { Instant::now() } else { progress.moved }
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
