//! The response's body on its way to the reader.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::Poll;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tokio::time::Instant;

use super::task::Task;
use crate::connection::{Connection, ResponseBody};
use crate::error::{Failure, Kind, Phase, TransportError};
use crate::headers::{self, Trailers};

type NextFrame = Option<Result<Frame<Bytes>, TransportError>>;

impl Task {
    /// Moves the body to the reader. Rings only when nothing more is here or the queue is full.
    pub(super) async fn pump(
        &mut self,
        body: &mut ResponseBody,
        trailers: &Trailers,
        connection: &Connection,
    ) -> Result<(), Failure> {
        let mut left = self.policy.limits.response_body.unwrap_or(u64::MAX);
        while !body.is_end_stream() {
            self.outbox.room().await;
            connection.read_at_most(self.outbox.limit());
            let frame = match self.next_here(body).await {
                Some(frame) => frame,
                None => self.next_later(body).await?,
            };
            let Some(frame) = frame else { return Ok(()) };
            let frame = frame.map_err(|err| {
                self.body_failure()
                    .unwrap_or_else(|| Failure::transport(Phase::Body, &self.origin, &err))
            })?;
            match frame.into_data() {
                Ok(bytes) => self.pass_chunk(bytes, &mut left).await?,
                Err(frame) => {
                    self.keep_trailers(&frame.into_trailers().unwrap_or_default(), trailers)?
                }
            }
        }
        Ok(())
    }

    /// Moves a piece of the body to the reader, as far as `left` bytes are still allowed.
    async fn pass_chunk(&mut self, mut bytes: Bytes, left: &mut u64) -> Result<(), Failure> {
        let most = usize::try_from(*left).unwrap_or(usize::MAX);
        let too_long = bytes.len() > most;
        bytes.truncate(most);
        *left -= bytes.len() as u64;
        self.core.stats.bytes_down.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.ledger.lock().bytes_down += bytes.len() as u64;
        if !bytes.is_empty() {
            self.outbox.chunk(bytes).await;
        }
        let Some(most) = self.policy.limits.response_body.filter(|_| too_long) else {
            return Ok(());
        };
        let rule = format!("sent a body of more than {most} bytes (max_response_body)");
        Err(self.broken_in_body(rule))
    }

    /// Trailers cannot be told through a Rack body: they are kept for whoever asks at its end.
    fn keep_trailers(&self, fields: &HeaderMap, trailers: &Trailers) -> Result<(), Failure> {
        headers::within(&self.policy.limits, "trailer", fields)
            .map_err(|rule| self.broken_in_body(rule))?;
        self.ledger.lock().trailers = trailers.permitted(fields);
        Ok(())
    }

    fn broken_in_body(&self, rule: String) -> Failure {
        Failure::new(Kind::Protocol, Phase::Body, &self.origin, rule)
    }

    /// A frame that is here already. The connection gets one turn to bring what its socket holds,
    /// so that the reader is not woken for each frame of a burst.
    async fn next_here(&mut self, body: &mut ResponseBody) -> Option<NextFrame> {
        for turn in 0..2 {
            let frame = poll_fn(|cx| Poll::Ready(Pin::new(&mut *body).poll_frame(cx))).await;
            if let Poll::Ready(frame) = frame {
                return Some(frame);
            }
            if turn == 0 {
                tokio::task::yield_now().await;
            }
        }
        None
    }

    async fn next_later(&mut self, body: &mut ResponseBody) -> Result<NextFrame, Failure> {
        self.outbox.flush();
        let clock = self.clock();
        tokio::select! {
            biased;
            frame = body.frame() => Ok(frame),
            failure = clock.idle(Instant::now(), &self.upload) => Err(failure),
        }
    }
}
