//! Atomics, waker and channel of the hand-off ([`crate::chunks`], [`crate::signal`]): the real ones,
//! or, with `--cfg rsp_loom`, those whose every interleaving loom tries (docs/fuzzing.md).

#[cfg(not(all(test, rsp_loom)))]
mod real {
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    pub(crate) use atomic_waker::AtomicWaker;
    pub(crate) use crossbeam_channel::{Receiver, Sender, never, unbounded};
}

#[cfg(not(all(test, rsp_loom)))]
pub(crate) use real::*;

#[cfg(all(test, rsp_loom))]
mod modelled;

#[cfg(all(test, rsp_loom))]
pub(crate) use modelled::*;
