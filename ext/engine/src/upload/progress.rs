//! How far the attempt that sends the body has come, and why it cannot go on.

use std::mem;

use tokio::time::Instant;

use super::BodyKind;
use super::kept::Kept;

/// Why a body cannot be sent to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UploadError {
    #[error("the request body ended {missing} bytes short of its Content-Length")]
    Short { missing: u64 },
    #[error("the request body is longer than its Content-Length")]
    Long,
    #[error("{0}")]
    Source(String),
    #[error("the rest of the request body is not wanted")]
    Superseded,
}

/// How far the current attempt has come.
#[derive(Debug)]
pub(super) struct Progress {
    /// When the connection last took bytes.
    pub(super) moved: Instant,
    /// The connection waits for bytes that the writer has not brought yet.
    pub(super) starving: bool,
    pub(super) complete: bool,
    pub(super) error: Option<UploadError>,
    pub(super) kept: Kept,
    pub(super) sent: u64,
}

impl Progress {
    /// Of a first attempt.
    pub(super) fn of(kind: BodyKind) -> Self {
        Progress {
            moved: Instant::now(),
            starving: false,
            complete: kind == BodyKind::None,
            error: None,
            kept: Kept::default(),
            sent: 0,
        }
    }

    /// Begins the next attempt; what is kept is sent again.
    pub(super) fn restart(&mut self, kind: BodyKind) {
        let kept = mem::take(&mut self.kept);
        *self = Progress { kept, ..Progress::of(kind) };
    }

    /// Fails the attempt.
    pub(super) fn reject<T>(&mut self, error: UploadError) -> Result<T, UploadError> {
        self.error = Some(error.clone());
        Err(error)
    }
}
