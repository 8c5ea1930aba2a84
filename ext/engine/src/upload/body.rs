//! The body that one attempt sends, as hyper reads it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

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

    fn next_piece(&mut self) -> Poll<Piece> {
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
                self.upload.lock().kept.keep(&piece);
                return Poll::Ready(piece);
            }
        }
        Poll::Pending
    }

    fn accept(&self, bytes: Bytes) -> Result<Frame<Bytes>, UploadError> {
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

    fn complete(&self) -> Result<(), UploadError> {
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
        self.upload.data.register(cx.waker());
        if self.attempt != self.upload.attempt.load(Ordering::Acquire) {
            return Poll::Ready(Some(Err(UploadError::Superseded)));
        }
        let piece = self.next_piece();
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
            BodyKind::Length(length) => {
                SizeHint::with_exact(length.saturating_sub(self.upload.sent()))
            }
            BodyKind::Chunked => SizeHint::default(),
        }
    }
}
