//! The task that does an exchange's work: attempts, then the response's body.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Version};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, sleep, timeout};

use super::attempt::Answer;
use super::clock::Clock;
use super::discard::drain;
use crate::chunks::Outbox;
use crate::client::Core;
use crate::connection::{Connection, Http1};
use crate::destination::Permission;
use crate::error::{Failure, Kind, Phase};
use crate::headers::{self, RequestHead, Trailers};
use crate::policy::Policy;
use crate::pool::Key;
use crate::report::Ledger;
use crate::retry::Attempts;
use crate::stats::Guard;
use crate::upload::{BodyKind, Upload};
use crate::watch::Watch;

/// How long a connection may take to be at rest after its response.
const AT_REST: Duration = Duration::from_millis(100);

type NextFrame = Option<Result<Frame<Bytes>, hyper::Error>>;

/// Everything that one exchange's task owns.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) core: Arc<Core>,
    pub(crate) head: RequestHead,
    pub(crate) body: BodyKind,
    pub(crate) rewindable: bool,
    pub(crate) policy: Arc<Policy>,
    pub(crate) origin: String,
    pub(crate) key: Key,
    pub(crate) permission: Permission,
    pub(crate) upload: Arc<Upload>,
    pub(crate) outbox: Outbox,
    pub(crate) watch: Arc<Watch>,
    pub(crate) ledger: Ledger,
    /// The connection of an answer that is asked for again, at rest: a retry uses it first, and an
    /// exchange that is given up in between shuts it down.
    pub(crate) held: Option<Box<Http1>>,
    /// Whether the reader has been given a head.
    pub(crate) answered: bool,
    pub(crate) _counted: Guard,
}

impl Task {
    /// Runs the exchange to its end and says how it ended.
    pub(crate) async fn run(mut self) {
        let (watch, policy, origin) =
            (self.watch.clone(), self.policy.clone(), self.origin.clone());
        let clock = Clock { timeouts: policy.timeouts, origin: &origin };
        let outcome = tokio::select! {
            biased;
            () = watch.client_gone() => None,
            outcome = self.serve() => Some(outcome),
            failure = clock.total() => Some(Err(failure)),
        };
        let outcome = outcome.unwrap_or_else(|| Err(self.gone()));
        // What watched the client is dropped here, before the reader hears of the end.
        watch.end();
        self.upload.abandon();
        self.ledger.lock().bytes_up = self.upload.sent();
        self.outbox.end(outcome);
    }

    fn gone(&self) -> Failure {
        let detail = "the client left before the response's end";
        Failure::new(Kind::ClientGone, self.phase(), &self.origin, detail)
    }

    /// Where a failure of the client's doing happens.
    pub(super) fn phase(&self) -> Phase {
        if self.answered { Phase::Body } else { Phase::Head }
    }

    pub(super) fn clock(&self) -> Clock<'_> {
        Clock { timeouts: self.policy.timeouts, origin: &self.origin }
    }

    async fn serve(&mut self) -> Result<(), Failure> {
        #[cfg(feature = "test-panics")]
        crate::panics::in_task(&self.head);
        let max_hops = self.policy.forwarding.max_hops;
        if let Some(failure) = self.head.loop_detected(max_hops).or_else(|| self.clock().at_once())
        {
            return Err(failure);
        }
        let mut attempts = Attempts::new(self.policy.retry);
        let mut fresh = false;
        loop {
            let replayable = |task: &Task| task.upload.replayable(task.rewindable);
            match self.attempt(fresh).await {
                Ok(answer) => {
                    let status = answer.response.status().as_u16();
                    let Some(delay) = attempts.after_status(status, replayable(self)) else {
                        return self.pass_on(answer).await;
                    };
                    self.discard(answer).await;
                    sleep(delay).await;
                }
                Err(lost) => {
                    let repeatable = self.head.is_repeatable();
                    let again = lost.stale
                        && attempts.after_stale(lost.unsent, replayable(self), repeatable);
                    if !again {
                        return Err(lost.failure);
                    }
                    fresh = true;
                }
            }
        }
    }

    async fn pass_on(&mut self, answer: Answer) -> Result<(), Failure> {
        let Answer { response, framing, keep_alive, connection } = answer;
        let most = self.policy.limits.response_body;
        framing.body.within(most).map_err(|rule| self.broken(rule))?;
        let (parts, mut body) = response.into_parts();
        let status = parts.status.as_u16();
        if status >= 400 {
            // An early refusal: the rest of the upload has no reader.
            self.upload.stop();
        }
        let trust = self.policy.trust_upstream;
        self.answered = true;
        self.outbox.head(headers::pass_on(status, &parts.headers, framing.body, trust));
        let trailers = Trailers::after(&parts.headers, trust);
        let private = self.is_bound() || headers::binds_connection(parts.headers.iter());
        drop(parts);
        let mut ended = body.is_end_stream();
        if framing.body.follows() {
            self.pump(&mut body, connection.version(), &trailers).await?;
            ended = true;
        }
        drop(body);
        if ended && framing.reusable && !private && self.upload.is_complete() {
            if let Some(connection) = at_rest(connection).await {
                self.core.pool.put(&self.key, connection, &self.policy.pool, keep_alive);
            }
        }
        Ok(())
    }

    /// Whether the request, as it was sent, authenticates its connection.
    fn is_bound(&self) -> bool {
        let set = self.policy.overrides.iter();
        let set = set.flat_map(|(name, values)| values.iter().flatten().map(move |v| (name, v)));
        let came = self.head.fields.iter().map(|(name, value)| (name, value));
        headers::binds_connection(came.chain(set))
    }

    /// Gets rid of an answer that will be asked for again. While the upload is unfinished its
    /// connection cannot be used again, and must take no more of the body.
    async fn discard(&mut self, answer: Answer) {
        let Answer { response, framing, connection, .. } = answer;
        if self.upload.is_complete() && drain(response.into_body()).await && framing.reusable {
            self.held = at_rest(connection).await;
        }
    }

    /// Moves the body to the reader. Rings only when nothing more is here or the queue is full.
    async fn pump(
        &mut self,
        body: &mut Incoming,
        version: Version,
        trailers: &Trailers,
    ) -> Result<(), Failure> {
        let mut left = self.policy.limits.response_body.unwrap_or(u64::MAX);
        loop {
            let frame = match self.next_here(body).await {
                Some(frame) => frame,
                None => self.next_later(body).await?,
            };
            let Some(frame) = frame else { return self.whole(body, version) };
            let frame = frame.map_err(|err| {
                self.body_failure()
                    .unwrap_or_else(|| Failure::http(Phase::Body, &self.origin, &err))
            })?;
            match frame.into_data() {
                Ok(bytes) => self.pass_chunk(bytes, &mut left).await?,
                Err(frame) => {
                    self.keep_trailers(&frame.into_trailers().unwrap_or_default(), trailers)?
                }
            }
        }
    }

    /// hyper ends a body at NO_ERROR too, which over HTTP/2 is a cut before END_STREAM (RFC 9113
    /// section 8.1).
    fn whole(&self, body: &Incoming, version: Version) -> Result<(), Failure> {
        if version != Version::HTTP_2 || body.is_end_stream() {
            return Ok(());
        }
        Err(self.broken_in_body("ended the HTTP/2 stream in mid-body (NO_ERROR)".to_owned()))
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
    async fn next_here(&mut self, body: &mut Incoming) -> Option<NextFrame> {
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

    async fn next_later(&mut self, body: &mut Incoming) -> Result<NextFrame, Failure> {
        self.outbox.flush();
        let clock = self.clock();
        tokio::select! {
            biased;
            frame = body.frame() => Ok(frame),
            failure = clock.idle(Instant::now(), &self.upload) => Err(failure),
        }
    }
}

/// A clean HTTP/1 connection once hyper has brought it to rest: at once, unless the upstream
/// answered without reading the end of the request. An HTTP/2 connection rests with the pool.
async fn at_rest(connection: Connection) -> Option<Box<Http1>> {
    let Connection::Http1(mut connection) = connection else { return None };
    let rested = timeout(AT_REST, connection.ready()).await;
    matches!(rested, Ok(Ok(()))).then_some(connection)
}
