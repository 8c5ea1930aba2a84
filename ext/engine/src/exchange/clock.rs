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

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::sync::Arc;

    use bytes::Bytes;
    use http_body_util::BodyExt;
    use tokio::time::timeout;

    use super::*;
    use crate::signal::Signal;
    use crate::upload::{BodyKind, UploadBody, Written};

    const LIMIT: Duration = Duration::from_secs(7);
    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn clock(timeouts: Timeouts) -> Clock<'static> {
        Clock { timeouts, origin: "http://u:80" }
    }

    fn idle() -> Clock<'static> {
        clock(Timeouts { idle: Some(LIMIT), ..Timeouts::default() })
    }

    fn head() -> Clock<'static> {
        clock(Timeouts { head: Some(LIMIT), ..Timeouts::default() })
    }

    fn upload(kind: BodyKind) -> Arc<Upload> {
        Upload::new(kind, 1024, Arc::new(Signal::new(|| {})), Arc::default())
    }

    fn body(upload: &Arc<Upload>) -> UploadBody {
        upload.body(true).expect("a body").0
    }

    fn write(upload: &Upload, bytes: &'static str) {
        assert_eq!(upload.write(Bytes::from_static(bytes.as_bytes())), Written::Taken);
    }

    /// The connection takes the next bytes.
    async fn take(body: &mut UploadBody) {
        body.frame().await.expect("a frame").expect("no error");
    }

    /// Waits for a failure and checks where it is said to have happened, and which setting to
    /// change; returns how long it took.
    async fn late(ending: impl Future<Output = Failure>, phase: Phase, setting: &str) -> Duration {
        let started = Instant::now();
        let failure = timeout(DAY, ending).await.expect("the clock fires");
        assert_eq!((failure.kind, failure.phase), (Kind::Timeout, phase));
        let text = failure.to_string();
        assert!(text.starts_with("upstream http://u:80 "), "{text}");
        assert!(text.ends_with(&format!(" 7 s ({setting})")), "{text}");
        started.elapsed()
    }

    async fn never(ending: impl Future<Output = Failure>) {
        assert!(timeout(DAY, ending).await.is_err(), "the clock stands still");
    }

    /// tokio's timers have a grain of a millisecond.
    fn assert_at(elapsed: Duration, expected: Duration) {
        let late = elapsed.checked_sub(expected).expect("not before its time");
        assert!(late <= Duration::from_millis(2), "{late:?} late");
    }

    #[tokio::test(start_paused = true)]
    async fn to2_each_clock_fires_at_its_limit_and_names_its_phase() {
        let total = clock(Timeouts { total: Some(LIMIT), ..Timeouts::default() });
        assert_at(late(total.total(), Phase::Total, "total_timeout").await, LIMIT);
        let sent = upload(BodyKind::None);
        assert_at(late(head().head(&sent), Phase::Head, "timeout").await, LIMIT);
        let since = Instant::now();
        assert_at(late(idle().idle(since, &sent), Phase::Idle, "idle_timeout").await, LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn to1_a_clock_without_a_limit_stands_still_and_one_without_bound_too() {
        let endless = Some(Duration::MAX);
        let boundless = Timeouts { total: endless, head: endless, idle: endless, connect: endless };
        for clock in [clock(Timeouts::default()), clock(boundless)] {
            let sent = upload(BodyKind::None);
            never(clock.total()).await;
            never(clock.head(&sent)).await;
            never(clock.idle(Instant::now(), &sent)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn to1_timeout_runs_from_the_last_byte_of_the_upload() {
        for kind in [BodyKind::Length(4), BodyKind::Chunked] {
            let upload = upload(kind);
            let mut body = body(&upload);
            let uploading = async {
                for bytes in ["ab", "cd"] {
                    sleep(3 * LIMIT).await;
                    write(&upload, bytes);
                    take(&mut body).await;
                }
                upload.finish();
                let end = body.frame().await;
                assert!(end.is_none(), "{end:?}");
                pending::<()>().await;
            };
            let clock = head();
            let ending = async {
                tokio::select! {
                    failure = clock.head(&upload) => failure,
                    () = uploading => unreachable!(),
                }
            };
            assert_at(late(ending, Phase::Head, "timeout").await, 7 * LIMIT);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn to1_timeout_runs_anew_for_each_attempt() {
        let upload = upload(BodyKind::Length(2));
        write(&upload, "ab");
        for _ in 0..2 {
            let mut body = body(&upload);
            let clock = head();
            let ending = async {
                sleep(LIMIT).await;
                take(&mut body).await;
                clock.head(&upload).await
            };
            assert_at(late(ending, Phase::Head, "timeout").await, 2 * LIMIT);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn to1_only_a_timeout_of_zero_has_passed_at_once() {
        let limited = |head| clock(Timeouts { head, ..Timeouts::default() }).at_once();
        let failure = limited(Some(Duration::ZERO)).expect("at once");
        assert_eq!((failure.kind, failure.phase), (Kind::Timeout, Phase::Head));
        assert!(failure.to_string().ends_with("within 0 s (timeout)"), "{failure}");
        assert!(limited(Some(Duration::from_millis(1))).is_none());
        assert!(limited(None).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn to1_idle_timeout_runs_from_the_last_byte_that_came_down() {
        let sent = upload(BodyKind::None);
        let since = Instant::now();
        sleep(LIMIT / 7).await;
        let elapsed = late(idle().idle(since, &sent), Phase::Idle, "idle_timeout").await;
        assert_at(elapsed, 6 * LIMIT / 7);
    }

    #[tokio::test(start_paused = true)]
    async fn to1_idle_timeout_runs_from_the_last_byte_that_went_up() {
        let upload = upload(BodyKind::Chunked);
        let mut body = body(&upload);
        for _ in 0..4 {
            write(&upload, "b");
        }
        // The connection takes a byte now and then, and at last none though one is here.
        let uploading = async {
            for _ in 0..3 {
                sleep(6 * LIMIT / 7).await;
                take(&mut body).await;
            }
            pending::<()>().await;
        };
        let (clock, since) = (idle(), Instant::now());
        let ending = async {
            tokio::select! {
                failure = clock.idle(since, &upload) => failure,
                () = uploading => unreachable!(),
            }
        };
        let elapsed = late(ending, Phase::Idle, "idle_timeout").await;
        assert_at(elapsed, 3 * (6 * LIMIT / 7) + LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn to1_idle_timeout_stands_still_while_the_client_is_slow_to_send() {
        let upload = upload(BodyKind::Length(2));
        let mut body = body(&upload);
        let clock = idle();
        let ending = async {
            tokio::select! {
                failure = clock.idle(Instant::now(), &upload) => failure,
                () = take(&mut body) => unreachable!(),
            }
        };
        never(ending).await;
        // The client's byte ends the pause: from here on the upstream is the slow one.
        write(&upload, "a");
        take(&mut body).await;
        let ending = clock.idle(Instant::now(), &upload);
        assert_at(late(ending, Phase::Idle, "idle_timeout").await, LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn to1_idle_timeout_runs_when_nobody_wants_the_rest_of_a_slow_upload() {
        let upload = upload(BodyKind::Length(2));
        let mut body = body(&upload);
        assert!(timeout(LIMIT, body.frame()).await.is_err(), "the client is slow");
        upload.stop();
        let ending = idle();
        let ending = ending.idle(Instant::now(), &upload);
        assert_at(late(ending, Phase::Idle, "idle_timeout").await, LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn to1_timeout_never_cuts_a_stream_and_idle_timeout_never_a_wait_for_the_head() {
        let sent = upload(BodyKind::None);
        never(head().idle(Instant::now(), &sent)).await;
        never(idle().head(&sent)).await;
    }
}
