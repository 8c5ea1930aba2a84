//! The body that one attempt sends, as a connection reads it.

use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use super::progress::Progress;
use super::{BodyKind, Piece, Upload, UploadError};
use crate::chunks::cost;

/// The body that one attempt sends: what is replayed, then what is queued.
#[derive(Debug)]
pub(crate) struct UploadBody {
    upload: Arc<Upload>,
    attempt: u32,
    /// In the order in which it is sent, the next piece last.
    replay: Vec<Piece>,
    ended: bool,
}

impl UploadBody {
    pub(super) fn new(upload: Arc<Upload>, attempt: u32, mut replay: Vec<Piece>) -> Self {
        replay.reverse();
        UploadBody { upload, attempt, replay, ended: false }
    }

    /// The next bytes. What becomes of them is to be told with [`UploadBody::pass`].
    pub(crate) fn poll_chunk(
        &mut self,
        cx: &Context<'_>,
    ) -> Poll<Option<Result<Bytes, UploadError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let upload = self.upload.clone();
        // No other attempt begins while it is held.
        let mut progress = upload.lock();
        if self.is_superseded() {
            return Poll::Ready(Some(Err(UploadError::Superseded)));
        }
        upload.data.register(cx.waker());
        let piece = self.next_piece(&mut progress);
        let waited = mem::replace(&mut progress.starving, piece.is_pending());
        if waited && piece.is_ready() {
            progress.moved = Instant::now();
        }
        match ready!(piece) {
            Piece::Chunk(bytes) => Poll::Ready(Some(Ok(bytes))),
            Piece::Failed(reason) => {
                Poll::Ready(Some(progress.reject(UploadError::Source(reason))))
            }
            Piece::End => {
                self.ended = true;
                Poll::Ready(self.end(&mut progress).err().map(Err))
            }
        }
    }

    fn next_piece(&mut self, progress: &mut Progress) -> Poll<Piece> {
        if let Some(piece) = self.replay.pop() {
            return Poll::Ready(piece);
        }
        let wanted = self.upload.wanted.load(Ordering::Acquire);
        while let Ok((pass, piece)) = self.upload.receiver.try_recv() {
            if let Piece::Chunk(bytes) = &piece {
                self.upload.queued.fetch_sub(cost(bytes), Ordering::AcqRel);
                self.upload.signal.notify();
            }
            // What was written before the writer heard of a new pass is of no use.
            if pass == wanted {
                progress.kept.keep(&piece);
                return Poll::Ready(piece);
            }
        }
        Poll::Pending
    }

    fn is_superseded(&self) -> bool {
        self.attempt != self.upload.attempt.load(Ordering::Acquire)
    }

    /// Takes note of bytes that go to the upstream.
    pub(crate) fn pass(&self, len: usize) -> Result<(), UploadError> {
        let mut progress = self.upload.lock();
        if self.is_superseded() {
            return Err(UploadError::Superseded);
        }
        self.upload.stats.bytes_up.fetch_add(len as u64, Ordering::Relaxed);
        progress.sent += len as u64;
        progress.moved = Instant::now();
        match self.upload.kind {
            BodyKind::Length(length) if progress.sent > length => {
                progress.reject(UploadError::Long)
            }
            // hyper does not ask for more than the length that it was told.
            BodyKind::Length(length) if progress.sent == length => self.end(&mut progress),
            _ => Ok(()),
        }
    }

    fn end(&self, progress: &mut Progress) -> Result<(), UploadError> {
        if let BodyKind::Length(length) = self.upload.kind {
            if progress.sent < length {
                return progress.reject(UploadError::Short { missing: length - progress.sent });
            }
        }
        progress.complete = true;
        progress.moved = Instant::now();
        self.upload.completed.notify_waiters();
        Ok(())
    }
}

impl Body for UploadBody {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        let chunk = ready!(self.poll_chunk(cx));
        Poll::Ready(chunk.map(|chunk| {
            let bytes = chunk?;
            self.pass(bytes.len())?;
            Ok(Frame::data(bytes))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.upload.kind == BodyKind::None
    }

    fn size_hint(&self) -> SizeHint {
        match self.upload.kind {
            BodyKind::None => SizeHint::with_exact(0),
            BodyKind::Length(length) => {
                SizeHint::with_exact(length.saturating_sub(self.upload.sent()))
            }
            BodyKind::Chunked => SizeHint::default(),
        }
    }
}
