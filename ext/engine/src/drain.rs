//! Ending what the engine does for clients together with its process.
//!
//! A process that is to end says so once. Whatever is written to a client by then has the time that
//! it was given, counted from there, and is then cut; what begins later shares that clock.

use std::future::{Future, pending};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

#[derive(Clone, Copy, Debug, Default)]
struct State {
    since: Option<Instant>,
    /// How often a drain has ended.
    ended: u64,
}

/// Told by the process, heard by each task that writes to a client.
#[derive(Debug)]
pub(crate) struct Drain(watch::Sender<State>);

impl Default for Drain {
    fn default() -> Self {
        Drain(watch::Sender::new(State::default()))
    }
}

impl Drain {
    /// The process is to end.
    pub(crate) fn begin(&self) {
        self.0.send_modify(|state| {
            state.since.get_or_insert_with(Instant::now);
        });
    }

    /// The process ends now: whatever is written by now. It may begin anew should it not have ended.
    pub(crate) fn end(&self) {
        self.0.send_modify(|state| *state = State { since: None, ended: state.ended + 1 });
    }

    /// Resolves when a task that may go on for `time` after the drain's begin has to end.
    pub(crate) fn over(&self, time: Duration) -> impl Future<Output = ()> + use<> {
        let mut states = self.0.subscribe();
        let ended = states.borrow().ended;
        async move {
            loop {
                let state = *states.borrow_and_update();
                if state.ended != ended {
                    return;
                }
                tokio::select! {
                    told = states.changed() => if told.is_err() { return },
                    () = passed(state.since, time) => return,
                }
            }
        }
    }
}

async fn passed(since: Option<Instant>, time: Duration) {
    match since {
        Some(since) => sleep_until(since + time).await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Waker};

    const TIME: Duration = Duration::from_secs(25);

    fn is_over(future: std::pin::Pin<&mut impl Future<Output = ()>>) -> bool {
        future.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[tokio::test(start_paused = true)]
    async fn each_task_has_its_time_from_the_begin_on() {
        let drain = Drain::default();
        let (mut short, mut long) = (pin!(drain.over(TIME)), pin!(drain.over(TIME * 2)));
        assert!(!is_over(short.as_mut()));
        drain.begin();
        tokio::time::advance(TIME - Duration::from_secs(1)).await;
        drain.begin();
        assert!(!is_over(short.as_mut()), "a second begin changes nothing");
        let mut late = pin!(drain.over(TIME));
        assert!(!is_over(late.as_mut()));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(is_over(short.as_mut()));
        assert!(is_over(late.as_mut()), "what begins later shares the clock");
        assert!(!is_over(long.as_mut()));
    }

    #[tokio::test(start_paused = true)]
    async fn no_time_is_an_end_at_once() {
        let drain = Drain::default();
        let mut task = pin!(drain.over(Duration::ZERO));
        assert!(!is_over(task.as_mut()));
        drain.begin();
        assert!(is_over(task.as_mut()));
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_is_heard_whenever_it_comes() {
        let drain = Drain::default();
        let task = drain.over(TIME);
        drain.begin();
        drain.end();
        drain.begin();
        task.await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_is_everybodys() {
        let drain = Drain::default();
        let mut task = pin!(drain.over(TIME));
        assert!(!is_over(task.as_mut()));
        drain.begin();
        assert!(!is_over(task.as_mut()));
        drain.end();
        assert!(is_over(task.as_mut()));
        let mut next = pin!(drain.over(TIME));
        assert!(!is_over(next.as_mut()), "what begins behind it is not");
    }
}
