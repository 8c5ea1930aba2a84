//! The clocks of an exchange. Each future here resolves to the failure that its clock means, or
//! never.

use std::future::pending;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use crate::error::{Failure, Kind, Phase};
use crate::policy::Timeouts;
use crate::upload::Upload;

/// The clocks of one exchange with one upstream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock<'a> {
    pub(crate) timeouts: Timeouts,
    pub(crate) origin: &'a str,
}

impl Clock<'_> {
    /// Runs from now to the end of everything.
    pub(crate) async fn total(&self) -> Failure {
        let limit = running(self.timeouts.total).await;
        sleep(limit).await;
        self.late(Phase::Total, "was not done within", limit, "total_timeout")
    }

    /// Runs while the request is sent (idle timeout), then from its last byte (timeout).
    pub(crate) async fn head(&self, upload: &Upload) -> Failure {
        tokio::select! {
            () = upload.complete() => {}
            failure = self.idle(Instant::now(), upload) => return failure,
        }
        let limit = running(self.timeouts.head).await;
        sleep(limit).await;
        self.late(Phase::Head, "did not answer within", limit, "timeout")
    }

    /// Runs from the last byte in either direction; `since` is when one last came down.
    pub(crate) async fn idle(&self, since: Instant, upload: &Upload) -> Failure {
        let limit = running(self.timeouts.idle).await;
        loop {
            let Some(due) = since.max(upload.last_moved()).checked_add(limit) else {
                return pending().await;
            };
            if due <= Instant::now() {
                return self.late(Phase::Idle, "moved no byte for", limit, "idle_timeout");
            }
            sleep_until(due).await;
        }
    }

    /// The failure of a `timeout` of zero: it has passed before the request is sent.
    pub(crate) fn at_once(&self) -> Option<Failure> {
        let zero = self.timeouts.head.filter(Duration::is_zero)?;
        Some(self.late(Phase::Head, "did not answer within", zero, "timeout"))
    }

    fn late(&self, phase: Phase, what: &str, limit: Duration, setting: &str) -> Failure {
        let detail = format!("{what} {} s ({setting})", limit.as_secs_f64());
        Failure::new(Kind::Timeout, phase, self.origin, detail)
    }
}

/// The limit of a clock that runs; waits for ever on one that does not.
async fn running(limit: Option<Duration>) -> Duration {
    match limit {
        Some(limit) => limit,
        None => pending().await,
    }
}
