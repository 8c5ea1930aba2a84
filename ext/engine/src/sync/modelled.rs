//! Stand-ins under loom. Their locks order more than the real ones do, so the models of the bell
//! use a bare atomic for what changes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use loom::sync::Mutex;

pub(crate) use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// As `atomic_waker::AtomicWaker`.
#[derive(Debug)]
pub(crate) struct AtomicWaker(Mutex<Option<Waker>>);

impl AtomicWaker {
    pub(crate) fn new() -> Self {
        AtomicWaker(Mutex::new(None))
    }

    pub(crate) fn register(&self, waker: &Waker) {
        *self.0.lock().expect("no thread panicked") = Some(waker.clone());
    }

    pub(crate) fn wake(&self) {
        let waker = self.0.lock().expect("no thread panicked").take();
        waker.into_iter().for_each(Waker::wake);
    }
}

/// As `crossbeam_channel::Sender`, but that the receiver is never gone.
#[derive(Debug)]
pub(crate) struct Sender<T>(Arc<Mutex<VecDeque<T>>>);

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Sender(self.0.clone())
    }
}

impl<T> Sender<T> {
    pub(crate) fn send(&self, message: T) -> Result<(), T> {
        self.0.lock().expect("no thread panicked").push_back(message);
        Ok(())
    }
}

/// As `crossbeam_channel::Receiver`.
#[derive(Debug)]
pub(crate) struct Receiver<T>(Arc<Mutex<VecDeque<T>>>);

impl<T> Receiver<T> {
    pub(crate) fn try_recv(&self) -> Result<T, ()> {
        self.0.lock().expect("no thread panicked").pop_front().ok_or(())
    }

    pub(crate) fn try_iter(&self) -> impl Iterator<Item = T> {
        std::iter::from_fn(|| self.try_recv().ok())
    }
}

pub(crate) fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    let queue = Arc::new(Mutex::new(VecDeque::new()));
    (Sender(queue.clone()), Receiver(queue))
}

pub(crate) fn never<T>() -> Receiver<T> {
    unbounded().1
}
