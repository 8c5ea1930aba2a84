//! The request's body on its way up: written by the reader's thread, read by hyper.
//!
//! [`Upload`] is shared by both ends. The writer never waits: `write` refuses when `limit` bytes
//! are queued. The engine's end is one [`UploadBody`] for each attempt; only the newest attempt
//! may take bytes. What was sent is kept while it is at most `KEPT` bytes, so that a retry can
//! send it again; past that a retry needs the writer to begin again (a new *pass*).

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use atomic_waker::AtomicWaker;
use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, unbounded};
use http_body::{Body, Frame, SizeHint};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::signal::Signal;
use crate::stats::Stats;

/// Bytes of a body that are kept for a retry.
const KEPT: usize = 64 * 1024;

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
    /// The queue is full; the signal rings when there is room.
    Again,
    /// Nobody wants the body any more.
    Stopped,
}

/// Why a body cannot be sent to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UploadError {
    #[error("the request body ended {missing} bytes short of its Content-Length")]
    Short { missing: u64 },
    #[error("the request body is longer than its Content-Length")]
    Long,
    #[error("reading the request body failed: {0}")]
    Source(String),
    #[error("a newer attempt took over the request body")]
    Superseded,
}

#[derive(Clone, Debug)]
enum Piece {
    Chunk(Bytes),
    End,
    Failed(String),
}

#[derive(Debug)]
struct Progress {
    /// When bytes last moved up, or could not because none had been written.
    moved: Instant,
    /// hyper waits for bytes that the writer has not brought yet.
    starving: bool,
    complete: bool,
    error: Option<UploadError>,
    kept: Vec<Piece>,
    kept_len: usize,
    overflowed: bool,
    sent: u64,
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
    data: AtomicWaker,
    completed: Notify,
    signal: Arc<Signal>,
    stats: Arc<Stats>,
    progress: Mutex<Progress>,
}

impl Upload {
    /// The state of a body of this kind, of which at most `limit` bytes are queued.
    pub(crate) fn new(
        kind: BodyKind,
        limit: usize,
        signal: Arc<Signal>,
        stats: Arc<Stats>,
    ) -> Arc<Self> {
        let (sender, receiver) = unbounded();
        let progress = Progress {
            moved: Instant::now(),
            starving: false,
            complete: kind == BodyKind::None,
            error: None,
            kept: Vec::new(),
            kept_len: 0,
            overflowed: false,
            sent: 0,
        };
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
        if self.stopped.load(Ordering::Acquire) {
            return Written::Stopped;
        }
        if self.queued.load(Ordering::Acquire) < self.limit {
            return Written::Taken;
        }
        self.signal.arm();
        if self.stopped.load(Ordering::Acquire) {
            Written::Stopped
        } else if self.queued.load(Ordering::Acquire) < self.limit {
            Written::Taken
        } else {
            Written::Again
        }
    }

    /// Queues the next bytes of the body.
    pub(crate) fn write(&self, bytes: Bytes) -> Written {
        let ready = self.ready();
        if ready == Written::Taken {
            self.queued.fetch_add(bytes.len(), Ordering::AcqRel);
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

    fn send(&self, piece: Piece) {
        // Both ends of the queue live in self: it is never disconnected.
        let _ = self.sender.send((self.writing.load(Ordering::Acquire), piece));
        self.data.wake();
    }

    // ===== the engine's end =====

    /// The body of the next attempt, and whether the writer must begin a new pass for it. `None`
    /// if what was sent cannot be sent again.
    pub(crate) fn body(self: &Arc<Self>, rewindable: bool) -> Option<(UploadBody, bool)> {
        let attempt = self.attempt.fetch_add(1, Ordering::AcqRel) + 1;
        let mut progress = self.lock();
        let rewind = progress.overflowed;
        if rewind {
            if !rewindable {
                return None;
            }
            self.wanted.fetch_add(1, Ordering::AcqRel);
            progress.kept.clear();
            progress.kept_len = 0;
            progress.overflowed = false;
        }
        progress.sent = 0;
        progress.error = None;
        progress.complete = self.kind == BodyKind::None;
        progress.moved = Instant::now();
        let replay = progress.kept.iter().cloned().collect();
        drop(progress);
        Some((UploadBody { upload: self.clone(), attempt, replay, ended: false }, rewind))
    }

    /// Whether another attempt could send the body again.
    pub(crate) fn replayable(&self, rewindable: bool) -> bool {
        rewindable || !self.lock().overflowed
    }

    /// Wants no more of the body; the writer is told.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.signal.notify();
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

    /// When the upstream last took bytes; now, while there is nothing for it to take.
    pub(crate) fn last_moved(&self) -> Instant {
        let progress = self.lock();
        if progress.starving && !progress.complete { Instant::now() } else { progress.moved }
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The body that one attempt sends.
#[derive(Debug)]
pub(crate) struct UploadBody {
    upload: Arc<Upload>,
    attempt: u32,
    replay: VecDeque<Piece>,
    ended: bool,
}

impl UploadBody {
    fn next_piece(&mut self, cx: &Context<'_>) -> Poll<Piece> {
        if let Some(piece) = self.replay.pop_front() {
            return Poll::Ready(piece);
        }
        self.upload.data.register(cx.waker());
        let wanted = self.upload.wanted.load(Ordering::Acquire);
        while let Ok((pass, piece)) = self.upload.receiver.try_recv() {
            if let Piece::Chunk(bytes) = &piece {
                self.upload.queued.fetch_sub(bytes.len(), Ordering::AcqRel);
                self.upload.signal.notify();
            }
            // What was written before the writer heard of a new pass is of no use.
            if pass == wanted {
                self.upload.lock().keep(&piece);
                return Poll::Ready(piece);
            }
        }
        Poll::Pending
    }

    fn accept(&mut self, bytes: Bytes) -> Result<Frame<Bytes>, UploadError> {
        self.upload.stats.bytes_up.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let mut progress = self.upload.lock();
        progress.sent += bytes.len() as u64;
        progress.moved = Instant::now();
        let sent = progress.sent;
        drop(progress);
        match self.upload.kind {
            BodyKind::Length(length) if sent > length => Err(UploadError::Long),
            // hyper does not ask for more than the length that it was told.
            BodyKind::Length(length) if sent == length => {
                self.complete().map(|()| Frame::data(bytes))
            }
            _ => Ok(Frame::data(bytes)),
        }
    }

    fn complete(&mut self) -> Result<(), UploadError> {
        let mut progress = self.upload.lock();
        if let BodyKind::Length(length) = self.upload.kind {
            if progress.sent < length {
                return Err(UploadError::Short { missing: length - progress.sent });
            }
        }
        progress.complete = true;
        progress.moved = Instant::now();
        drop(progress);
        self.upload.completed.notify_waiters();
        Ok(())
    }

    fn reject<T>(&self, error: UploadError) -> Poll<Option<Result<T, UploadError>>> {
        self.upload.lock().error = Some(error.clone());
        Poll::Ready(Some(Err(error)))
    }
}

impl Progress {
    fn keep(&mut self, piece: &Piece) {
        if let Piece::Chunk(bytes) = piece {
            self.kept_len += bytes.len();
        }
        if self.kept_len > KEPT {
            self.overflowed = true;
            self.kept = Vec::new();
        } else {
            self.kept.push(piece.clone());
        }
    }
}

impl Body for UploadBody {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if self.attempt != self.upload.attempt.load(Ordering::Acquire) {
            return Poll::Ready(Some(Err(UploadError::Superseded)));
        }
        let piece = self.next_piece(cx);
        self.upload.lock().starving = piece.is_pending();
        match piece {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Piece::Chunk(bytes)) => match self.accept(bytes) {
                Ok(frame) => Poll::Ready(Some(Ok(frame))),
                Err(error) => self.reject(error),
            },
            Poll::Ready(Piece::Failed(reason)) => self.reject(UploadError::Source(reason)),
            Poll::Ready(Piece::End) => {
                self.ended = true;
                match self.complete() {
                    Ok(()) => Poll::Ready(None),
                    Err(error) => self.reject(error),
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.upload.kind == BodyKind::None
    }

    fn size_hint(&self) -> SizeHint {
        match self.upload.kind {
            BodyKind::None => SizeHint::with_exact(0),
            BodyKind::Length(length) => SizeHint::with_exact(length - self.upload.sent()),
            BodyKind::Chunked => SizeHint::default(),
        }
    }
}
