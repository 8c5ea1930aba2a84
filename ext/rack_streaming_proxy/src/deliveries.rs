//! `Native::Deliveries`: how the responses ended that the engine has written to their clients, and
//! which exchanges have something for a thread that does not wait for them.

use std::io;
use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};
use std::time::Duration;

use magnus::prelude::*;
use magnus::{Error, RArray, RModule, RString, Ruby, Value, function};
use streaming_engine::{Client, Failure, Reply};

use crate::bell::Bell;
use crate::client;
use crate::error::{failed, guarded, unknown};
use crate::fd;

type Outcome = Result<(), Failure>;

/// What is told of one.
#[derive(Debug)]
enum News {
    /// The exchange has something to be looked at.
    Ready,
    Ended(Outcome),
}

impl News {
    fn into_value(self, ruby: &Ruby) -> Result<Value, Error> {
        match self {
            News::Ready => Ok(ruby.to_symbol("ready").as_value()),
            News::Ended(Ok(())) => Ok(ruby.qnil().as_value()),
            News::Ended(Err(failure)) => Ok(failed(ruby, &failure)?.as_value()),
        }
    }
}

/// Those of a process that Ruby has not heard of.
#[derive(Debug)]
pub(crate) struct Deliveries {
    news: Mutex<Vec<(u64, News)>>,
    bell: Arc<Bell>,
}

impl Deliveries {
    pub(crate) fn new() -> io::Result<Arc<Self>> {
        Ok(Arc::new(Deliveries { news: Mutex::default(), bell: Bell::shared()? }))
    }

    /// Says how one has ended; from any thread.
    pub(crate) fn end(&self, id: u64, outcome: Outcome) {
        self.tell(id, News::Ended(outcome));
    }

    /// What tells of an exchange that there is something to be looked at.
    pub(crate) fn waker(self: Arc<Self>, id: u64) -> Waker {
        Arc::new(Ready { deliveries: self, id }).into()
    }

    fn tell(&self, id: u64, news: News) {
        self.lock().push((id, news));
        self.bell.ring();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(u64, News)>> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// There are some, since a place among them has been taken.
pub(crate) fn of_this_process(ruby: &Ruby) -> Result<Arc<Deliveries>, Error> {
    client::deliveries().map_err(|err| unknown(ruby, &format!("no descriptor for a bell: {err}")))
}

struct Ready {
    deliveries: Arc<Deliveries>,
    id: u64,
}

impl Wake for Ready {
    fn wake(self: Arc<Self>) {
        self.deliveries.tell(self.id, News::Ready);
    }
}

/// `bell()`: becomes readable when there is news. It is the process's, and never closed.
fn bell(ruby: &Ruby) -> Result<i32, Error> {
    guarded(ruby, || Ok(of_this_process(ruby)?.bell.descriptor()))
}

/// `news()`: `[[id, news], ...]`, each told once: `:ready`, or of one that has ended nil or a failure.
fn news(ruby: &Ruby) -> Result<RArray, Error> {
    guarded(ruby, || {
        let deliveries = of_this_process(ruby)?;
        deliveries.bell.drain();
        // The engine's threads wait for this lock: it is not held while Ruby makes objects.
        let news = take(&mut *deliveries.lock());
        let told = ruby.ary_new();
        for (id, news) in news {
            told.push((id, news.into_value(ruby)?))?;
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

/// `reply(descriptor, bytes, [send_timeout, drain_timeout], id)`: writes a whole response to the socket of this
/// descriptor, of which it takes a duplicate. False, and nothing happens, if there is no descriptor.
fn reply(
    ruby: &Ruby,
    descriptor: i32,
    bytes: RString,
    limits: RArray,
    id: u64,
) -> Result<bool, Error> {
    guarded(ruby, || {
        let Ok(socket) = fd::duplicate(descriptor) else { return Ok(false) };
        let reply = Reply {
            socket,
            bytes: bytes.to_bytes(),
            send_timeout: limits.entry::<Option<f64>>(0)?.map(Duration::from_secs_f64),
            drain_timeout: Duration::from_secs_f64(limits.entry(1)?),
        };
        let (engine, ended) = client::to_hand_over(ruby, id)?;
        engine.reply(reply, ended);
        Ok(true)
    })
}

pub(crate) fn init(_ruby: &Ruby, native: RModule) -> Result<(), Error> {
    let module = native.define_module("Deliveries")?;
    module.define_singleton_method("bell", function!(bell, 0))?;
    module.define_singleton_method("news", function!(news, 0))?;
    module.define_singleton_method("reply", function!(reply, 4))?;
    module.define_singleton_method("drain", function!(drain, 0))?;
    module.define_singleton_method("cut", function!(cut, 0))
}
