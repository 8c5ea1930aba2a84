//! The bell under loom: every interleaving, with memory as weak as the orderings allow.

use std::sync::Arc;
use std::task::{Wake, Waker};

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

/// A task that counts how often it is woken.
#[derive(Default)]
struct Task(AtomicUsize);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// As an exchange is waited for by a task: it registers, arms, and looks once more.
#[test]
fn a_change_is_seen_by_a_task_or_wakes_it() {
    loom::model(|| {
        let (changed, _, signal) = bell();
        let task = Arc::new(Task::default());
        let (change, ring) = (changed.clone(), signal.clone());
        let thread = loom::thread::spawn(move || {
            change.store(true, Ordering::Relaxed);
            ring.notify();
        });
        signal.wake(&Waker::from(task.clone()));
        signal.arm();
        let seen = changed.load(Ordering::Relaxed);
        thread.join().expect("it ends");
        let woken = task.0.load(Ordering::Relaxed);
        assert!(seen || woken == 1, "a lost wake-up");
        assert!(woken <= 1, "{woken} for one wait");
    });
}

/// A ring that an earlier wait has asked for finds the task that is registered by then, or leaves it
/// to the next look.
#[test]
fn a_task_that_takes_over_from_a_thread_misses_nothing() {
    loom::model(|| {
        let (changed, _, signal) = bell();
        signal.arm();
        let task = Arc::new(Task::default());
        let (change, ring) = (changed.clone(), signal.clone());
        let thread = loom::thread::spawn(move || {
            change.store(true, Ordering::Relaxed);
            ring.notify();
        });
        signal.wake(&Waker::from(task.clone()));
        if !changed.load(Ordering::Relaxed) {
            signal.arm();
            let seen = changed.load(Ordering::Relaxed);
            thread.join().expect("it ends");
            assert!(seen || task.0.load(Ordering::Relaxed) >= 1, "a lost wake-up");
        } else {
            thread.join().expect("it ends");
        }
    });
}
