//! The bell under loom: every interleaving, with memory as weak as the orderings allow.

use std::sync::Arc;

use super::Signal;
use crate::sync::{AtomicBool, AtomicUsize, Ordering};

/// What changes, and a signal that counts its rings.
fn bell() -> (Arc<AtomicBool>, Arc<AtomicUsize>, Arc<Signal>) {
    let rung = Arc::new(AtomicUsize::new(0));
    let counter = rung.clone();
    let signal = Signal::new(move || {
        counter.fetch_add(1, Ordering::Relaxed);
    });
    (Arc::new(AtomicBool::new(false)), rung, Arc::new(signal))
}

#[test]
fn a_change_is_seen_or_rings_and_rings_once() {
    loom::model(|| {
        let (changed, rung, signal) = bell();
        let change = || {
            let (changed, signal) = (changed.clone(), signal.clone());
            loom::thread::spawn(move || {
                changed.store(true, Ordering::Relaxed);
                signal.notify();
            })
        };
        let changes = [change(), change()];
        signal.arm();
        let seen = changed.load(Ordering::Relaxed);
        for thread in changes {
            thread.join().expect("it ends");
        }
        let rung = rung.load(Ordering::Relaxed);
        assert!(seen || rung == 1, "a lost wake-up");
        assert!(rung <= 1, "{rung} rings for one wait");
    });
}
