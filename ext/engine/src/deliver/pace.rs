//! How fast a client takes what is written to it. That decides how much is held for it, and whether
//! it is left.

use std::time::Duration;

use tokio::time::Instant;

/// Bytes that are held at once for a client that is not known to be fast. One less than hyper's
/// first buffer: what fills that one makes it grow.
const LITTLE: usize = 8 * 1024 - 1;
/// The same for a fast one; of larger pieces fewer are needed.
const MUCH: usize = 64 * 1024 - 1;
/// More than systems hold for a client that does not read, while the server's holds little
/// that is unsent: the client's has been seen to take 400 KiB.
const PROOF: u64 = 2 << 20;
/// How long a fast client may let wait what is written to it.
const PROMPT: Duration = Duration::from_millis(50);
/// What the rate is averaged over: time in which something waits to be written.
const WINDOW: Duration = Duration::from_secs(5);

/// One client's.
#[derive(Debug)]
pub(super) struct Pace {
    min_rate: Option<u64>,
    /// Bytes that it has taken, as far as they prove that it reads and does so at once.
    promptly: u64,
    /// Whether they have done so once.
    proven: bool,
    /// Time and bytes of the window so far.
    waited: Duration,
    taken: u64,
}

impl Pace {
    /// `min_rate`: bytes a second.
    pub(super) fn new(min_rate: Option<u64>) -> Self {
        Pace { min_rate, promptly: 0, proven: false, waited: Duration::ZERO, taken: 0 }
    }

    /// Bytes to hold at once.
    pub(super) fn piece(&self) -> usize {
        if self.promptly >= PROOF { MUCH } else { LITTLE }
    }

    /// True once, when the client has proven to be fast: then the system may take more for it.
    pub(super) fn proves(&mut self) -> bool {
        let proves = !self.proven && self.promptly >= PROOF;
        self.proven |= proves;
        proves
    }

    /// Some bytes have waited for so long, and were taken. False if that is below the rate.
    pub(super) fn took(&mut self, bytes: usize, waited: Duration) -> bool {
        self.promptly = if waited > PROMPT { 0 } else { self.promptly + bytes as u64 };
        self.taken += bytes as u64;
        self.waited(waited)
    }

    /// When the window ends, if bytes wait since this moment and are not taken.
    pub(super) fn window_ends(&self, since: Instant) -> Option<Instant> {
        self.min_rate?;
        since.checked_add(WINDOW.saturating_sub(self.waited))
    }

    /// Bytes have waited for so long. False if the rate was too low in the window that this ends.
    pub(super) fn waited(&mut self, time: Duration) -> bool {
        self.waited += time;
        let Some(min_rate) = self.min_rate.filter(|_| self.waited >= WINDOW) else { return true };
        let rate = self.taken as f64 / self.waited.as_secs_f64();
        (self.taken, self.waited) = (0, Duration::ZERO);
        rate >= min_rate as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_ONCE: Duration = Duration::ZERO;
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn much_is_held_only_for_who_has_proven_to_read_and_goes_on_with_it() {
        let mut pace = Pace::new(None);
        assert!(pace.took(PROOF as usize - 1, AT_ONCE));
        assert_eq!((pace.piece(), pace.proves()), (LITTLE, false));
        assert!(pace.took(1, PROMPT));
        assert_eq!((pace.piece(), pace.proves(), pace.proves()), (MUCH, true, false));
        assert!(pace.took(MUCH, SECOND));
        assert!(pace.took(PROOF as usize - 1, AT_ONCE));
        assert_eq!(pace.piece(), LITTLE);
        assert!(pace.took(1, AT_ONCE));
        assert_eq!((pace.piece(), pace.proves()), (MUCH, false));
    }

    #[test]
    fn who_lets_wait_before_the_proof_begins_anew() {
        let mut pace = Pace::new(None);
        assert!(pace.took(PROOF as usize - 1, AT_ONCE));
        assert!(pace.took(1, SECOND));
        assert!(pace.took(PROOF as usize - 1, AT_ONCE));
        assert_eq!((pace.piece(), pace.proves()), (LITTLE, false));
    }

    #[test]
    fn the_rate_is_averaged_over_the_time_in_which_something_waits() {
        let mut pace = Pace::new(Some(100));
        assert!(pace.took(1, SECOND * 4), "the window is not over");
        assert!(pace.took(499, SECOND), "100 bytes a second");
        assert!(pace.took(499, SECOND * 4), "the next window");
        assert!(!pace.waited(SECOND), "99.8 bytes a second");
        assert!(Pace::new(None).waited(SECOND * 3600), "there is no rate to keep");
    }

    #[test]
    fn the_window_goes_on_where_it_stood() {
        let now = Instant::now();
        let mut pace = Pace::new(Some(1));
        assert!(pace.took(10, SECOND * 2));
        assert_eq!(pace.window_ends(now), Some(now + SECOND * 3));
        assert_eq!(Pace::new(None).window_ends(now), None);
    }
}
