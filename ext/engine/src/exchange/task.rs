//! The task that does an exchange's work: attempts, then the response.

use std::mem::take;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body::Body;
use hyper_util::rt::TokioIo;
use tokio::time::{sleep, timeout};

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
use crate::stats::Counted;
use crate::tunnel::Switched;
use crate::upload::{BodyKind, Upload};
use crate::watch::Watch;

/// How long a connection may take to be at rest after its response.
const AT_REST: Duration = Duration::from_millis(100);

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
    /// Before the outbox, so that a panic drops it first: an exchange whose end is known is counted
    /// no more.
    /// None once it is a tunnel's.
    pub(crate) counted: Option<Counted>,
    pub(crate) outbox: Outbox,
    pub(crate) watch: Arc<Watch>,
    pub(crate) ledger: Ledger,
    /// The connection of an answer that is asked for again, at rest: a retry uses it first, and an
    /// exchange that is given up in between shuts it down.
    pub(crate) held: Option<Box<Http1>>,
    /// Whether the reader has been given a head.
    pub(crate) answered: bool,
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
        let Task { counted, mut outbox, answered, .. } = self;
        if let Some(counted) = counted {
            counted.end(&outcome, answered);
        }
        outbox.end(outcome);
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
        // A connection that may become a tunnel has served no other request.
        let mut fresh = self.head.client.upgrade.is_some();
        loop {
            let replayable = |task: &Task| task.upload.replayable(task.rewindable);
            // On the heap, or all that connecting takes would be kept until the response's end.
            match Box::pin(self.attempt(fresh)).await {
                Ok(answer) => {
                    let status = answer.response.status().as_u16();
                    let Some(delay) = attempts.after_status(status, replayable(self)) else {
                        return match status {
                            101 => self.switch(answer).await,
                            _ => self.pass_on(answer).await,
                        };
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
            self.pump(&mut body, &trailers, &connection).await?;
            ended = true;
        }
        drop(body);
        connection.read_at_most(usize::MAX);
        if ended && framing.reusable && !private && self.upload.is_complete() {
            if let Some(connection) = at_rest(connection).await {
                self.core.pool.put(&self.key, connection, &self.policy.pool, keep_alive);
            }
        }
        Ok(())
    }

    /// Leaves the connection to whoever makes a tunnel of it. Neither the pool nor the exchange's
    /// clocks know it any more.
    async fn switch(&mut self, answer: Answer) -> Result<(), Failure> {
        let Answer { mut response, framing, connection, .. } = answer;
        connection.read_at_most(usize::MAX);
        let fields = take(response.headers_mut());
        let upgraded = hyper::upgrade::on(response).await;
        let stream =
            upgraded.map_err(|err| Failure::transport(Phase::Head, &self.origin, &err.into()))?;
        let mut head = headers::pass_on(101, &fields, framing.body, self.policy.trust_upstream);
        head.fields.extend(headers::switching(&fields));
        self.answered = true;
        if let Some(counted) = self.counted.take() {
            self.outbox.switched(Switched {
                stream: Mutex::new(TokioIo::new(stream)),
                write_failed: connection.write_failed(),
                ledger: self.ledger.clone(),
                stats: self.core.stats.clone(),
                connection: self.core.stats.connection(),
                counted,
            });
        }
        self.outbox.head(head);
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
}

/// A clean HTTP/1 connection once hyper has brought it to rest: at once, unless the upstream
/// answered without reading the end of the request. An HTTP/2 connection rests with the pool.
async fn at_rest(connection: Connection) -> Option<Box<Http1>> {
    let Connection::Http1(mut connection) = connection else { return None };
    let rested = timeout(AT_REST, connection.ready()).await;
    matches!(rested, Ok(Ok(()))).then_some(connection)
}
