//! When a request is sent again.
//!
//! A stale connection: once, on a fresh one, if nothing was sent or the request is replayable and
//! repeatable. A 5xx: as often as the configuration says, if the request is replayable. Never
//! after the client has a head; the caller sees to that.

use std::time::Duration;

use crate::policy::Retry;

/// What one exchange has left to try.
#[derive(Debug)]
pub(crate) struct Attempts {
    left_on_5xx: u32,
    delay: Duration,
    stale_spent: bool,
}

impl Attempts {
    pub(crate) fn new(policy: Retry) -> Self {
        Attempts { left_on_5xx: policy.on_5xx, delay: policy.delay, stale_spent: false }
    }

    /// Whether to go on after a pooled connection turned out to be closed.
    pub(crate) fn after_stale(&mut self, unsent: bool, replayable: bool, repeatable: bool) -> bool {
        let safe = unsent || (replayable && repeatable);
        safe && !std::mem::replace(&mut self.stale_spent, true)
    }

    /// How long to wait before trying again after this status, if it is to be tried again.
    pub(crate) fn after_status(&mut self, status: u16, replayable: bool) -> Option<Duration> {
        if !(500..600).contains(&status) || !replayable || self.left_on_5xx == 0 {
            return None;
        }
        self.left_on_5xx -= 1;
        Some(self.delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rt1_tries_no_answer_again_unless_it_is_asked_to() {
        let mut attempts = Attempts::new(Retry::default());
        assert!([500, 503].iter().all(|status| attempts.after_status(*status, true).is_none()));
    }

    #[test]
    fn rt2_tries_a_5xx_again_n_times() {
        let mut attempts = Attempts::new(Retry { on_5xx: 2, delay: Duration::from_secs(1) });
        assert_eq!(attempts.after_status(404, true), None);
        assert_eq!(attempts.after_status(503, false), None, "not replayable");
        assert_eq!(attempts.after_status(503, true), Some(Duration::from_secs(1)));
        assert_eq!(attempts.after_status(500, true), Some(Duration::from_secs(1)));
        assert_eq!(attempts.after_status(500, true), None);
    }

    #[test]
    fn cn3_tries_a_stale_connection_again_once_when_it_is_safe() {
        let attempts = || Attempts::new(Retry::default());
        assert!(attempts().after_stale(true, false, false), "nothing was sent");
        assert!(attempts().after_stale(false, true, true));
        assert!(!attempts().after_stale(false, true, false), "a POST that may have arrived");
        assert!(!attempts().after_stale(false, false, true), "a body that is gone");
        let mut once = attempts();
        assert!(once.after_stale(true, true, true));
        assert!(!once.after_stale(true, true, true));
    }
}
