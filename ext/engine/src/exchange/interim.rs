//! What an upstream says before its final response (1xx, RFC 9110 section 15.2).
//!
//! The connection tells of each through a callback. It is counted and checked there; a 100 that the
//! client waits for and a 103 that it can be told of go to the reader at once. An upstream that says
//! nothing for a second gets the body unasked. When the attempt is over, nothing more of it is told:
//! what comes late is not another attempt's.

use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{HeaderMap, Request, StatusCode};
use tokio::sync::Notify;
use tokio::time::sleep;

use super::task::Task;
use crate::chunks::Announcer;
use crate::headers;
use crate::policy::Limits;

/// How long an upstream may take to ask for a body (as Go's ExpectContinueTimeout in use).
const PATIENCE: Duration = Duration::from_secs(1);

/// The interim responses of one attempt. Shared by its task and its connection's.
#[derive(Debug)]
pub(super) struct Interim {
    limits: Limits,
    trust_upstream: bool,
    early_hints: bool,
    state: Mutex<State>,
    broken: Notify,
}

#[derive(Debug)]
struct State {
    /// `None` when the attempt is over.
    announcer: Option<Announcer>,
    count: usize,
    /// Whether the reader waits to be told that the body is wanted.
    expecting: bool,
    broken: Option<String>,
}

impl Task {
    /// What listens to the interim responses to this request.
    pub(super) fn listen<B>(&self, request: &Request<B>) -> Arc<Interim> {
        let announcer = self.outbox.announcer();
        let expecting = headers::expects_continue(request.headers());
        if !expecting && self.head.expects_continue() {
            // The configuration took the expectation away: there is nothing to wait for.
            announcer.proceed();
        }
        Arc::new(Interim {
            limits: self.policy.limits,
            trust_upstream: self.policy.trust_upstream,
            early_hints: self.head.client.early_hints,
            state: Mutex::new(State {
                announcer: Some(announcer),
                count: 0,
                expecting,
                broken: None,
            }),
            broken: Notify::new(),
        })
    }
}

impl State {
    /// Tells a reader that waits for it that the body is wanted, once.
    fn proceed(&mut self) {
        if let (Some(announcer), true) = (&self.announcer, self.expecting) {
            self.expecting = false;
            announcer.proceed();
        }
    }
}

impl Interim {
    /// Takes note of an interim response.
    pub(super) fn hear(&self, status: StatusCode, fields: &HeaderMap) {
        let mut state = self.lock();
        state.count += 1;
        if let Err(rule) = self.check(state.count, fields) {
            state.broken = Some(rule);
            self.broken.notify_one();
            return;
        }
        if status == StatusCode::CONTINUE {
            state.proceed();
        }
        let Some(announcer) = &state.announcer else { return };
        if status == StatusCode::EARLY_HINTS && self.early_hints {
            let fields = headers::end_to_end(fields, self.trust_upstream);
            if !fields.is_empty() {
                announcer.early_hints(fields);
            }
        }
    }

    fn check(&self, count: usize, fields: &HeaderMap) -> Result<(), String> {
        let most = self.limits.interim_responses;
        if count > most {
            let rule = format!("{most} are allowed (max_interim_responses)");
            return Err(format!("sent more interim responses than {rule}"));
        }
        headers::within(&self.limits, "header", fields)
    }

    /// Waits until the upstream has broken a rule, and says which. In time it is given the body.
    pub(super) async fn broken(&self) -> String {
        let expecting = self.lock().expecting;
        let unasked = async {
            sleep(PATIENCE).await;
            self.lock().proceed();
            pending::<()>().await;
        };
        tokio::select! {
            () = self.broken.notified() => {}
            () = unasked, if expecting => {}
        }
        self.lock().broken.take().unwrap_or_default()
    }

    /// Tells nothing from now on; which rule was broken, if one was and nobody has heard of it.
    pub(super) fn end(&self) -> Result<(), String> {
        let mut state = self.lock();
        state.announcer = None;
        state.broken.take().map_or(Ok(()), Err)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
