//! `Native::Deliveries`: how the responses ended that the engine has written to their clients.

use std::io;
use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use magnus::prelude::*;
use magnus::{Error, RArray, RModule, Ruby, function};
use streaming_engine::{Client, Failure};

use crate::bell::Bell;
use crate::client;
use crate::error::{failed, guarded, unknown};

type Outcome = Result<(), Failure>;

/// Those of a process that Ruby has not heard of.
#[derive(Debug)]
pub(crate) struct Deliveries {
    ended: Mutex<Vec<(u64, Outcome)>>,
    bell: Arc<Bell>,
}

impl Deliveries {
    pub(crate) fn new() -> io::Result<Arc<Self>> {
        Ok(Arc::new(Deliveries { ended: Mutex::default(), bell: Bell::shared()? }))
    }

    /// Says how one has ended; from any thread.
    pub(crate) fn end(&self, id: u64, outcome: Outcome) {
        self.lock().push((id, outcome));
        self.bell.ring();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(u64, Outcome)>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// There are some, since a place among them has been taken.
fn of_this_process(ruby: &Ruby) -> Result<Arc<Deliveries>, Error> {
    client::deliveries().map_err(|err| unknown(ruby, &format!("no descriptor for a bell: {err}")))
}

/// `bell()`: becomes readable when one has ended. It is the process's, and never closed.
fn bell(ruby: &Ruby) -> Result<i32, Error> {
    guarded(ruby, || Ok(of_this_process(ruby)?.bell.descriptor()))
}

/// `ended()`: `[[id, nil or a failure], ...]`, each told once.
fn ended(ruby: &Ruby) -> Result<RArray, Error> {
    guarded(ruby, || {
        let deliveries = of_this_process(ruby)?;
        deliveries.bell.drain();
        let told = ruby.ary_new();
        for (id, outcome) in take(&mut *deliveries.lock()) {
            let failure = match outcome {
                Ok(()) => ruby.qnil().as_value(),
                Err(failure) => failed(ruby, &failure)?.as_value(),
            };
            told.push((id, failure))?;
        }
        Ok(told)
    })
}

/// `drain()`: the process is to end, which leaves each delivery its `drain_timeout`.
fn drain(ruby: &Ruby) -> Result<(), Error> {
    guarded(ruby, || {
        client::if_started(Client::drain);
        Ok(())
    })
}

/// `cut()`: ends all of them, and those to come.
fn cut(ruby: &Ruby) -> Result<(), Error> {
    guarded(ruby, || {
        client::if_started(Client::cut);
        Ok(())
    })
}

pub(crate) fn init(_ruby: &Ruby, native: RModule) -> Result<(), Error> {
    let module = native.define_module("Deliveries")?;
    module.define_singleton_method("bell", function!(bell, 0))?;
    module.define_singleton_method("ended", function!(ended, 0))?;
    module.define_singleton_method("drain", function!(drain, 0))?;
    module.define_singleton_method("cut", function!(cut, 0))
}
