//! `Native::Exchange`: one request and its response.
//!
//! `head` and `read` answer `:again` when nothing is here; the bell then becomes readable at the
//! next change. `close` is idempotent and may come at any moment, from any Ruby thread.

mod delivery;
mod upload;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use magnus::prelude::*;
use magnus::{DataTypeFunctions, Error, RArray, RModule, Ruby, TypedData, Value, method};
use streaming_engine::{BodyEvent, Exchange as EngineExchange, HeadEvent};

use crate::bell::Bell;
use crate::convert::resolve;
use crate::deliveries;
use crate::error::{failed, forked, guarded};
use crate::fd;
use crate::fork::Owned;
use crate::memory::Held;
use crate::told::{head_value, joined, pairs, question};

#[derive(Debug)]
struct Live {
    /// Locked for the length of one method, never while Ruby may switch threads.
    exchange: Arc<Mutex<EngineExchange>>,
    bell: Arc<Bell>,
    /// The reader was sent away to wait, so the bell may have rung.
    waited: AtomicBool,
}

impl Live {
    fn lock(&self) -> MutexGuard<'_, EngineExchange> {
        self.exchange.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls a method of the engine's, and tells Ruby what the exchange holds after it.
    fn call<T>(&self, held: &Held, ruby: &Ruby, body: impl FnOnce(&mut EngineExchange) -> T) -> T {
        let mut exchange = self.lock();
        let result = body(&mut exchange);
        held.set(ruby, exchange.memory());
        result
    }

    /// Drain first, then look: a change after this rings again.
    fn before_look(&self) {
        if self.waited.swap(false, Ordering::Relaxed) {
            self.bell.drain();
        }
    }

    fn again(&self, ruby: &Ruby) -> Value {
        self.waited.store(true, Ordering::Relaxed);
        ruby.to_symbol("again").as_value()
    }
}

/// The Ruby end of an exchange.
#[derive(Debug, TypedData)]
#[magnus(class = "Rack::StreamingProxy::Native::Exchange", free_immediately, size)]
pub(crate) struct Exchange {
    live: Option<Owned<Live>>,
    held: Held,
    #[cfg(feature = "test-panics")]
    panic_in_drop: AtomicBool,
}

impl DataTypeFunctions for Exchange {
    fn size(&self) -> usize {
        size_of::<Self>() + self.held.bytes()
    }
}

impl Exchange {
    pub(crate) fn new(exchange: EngineExchange, bell: Arc<Bell>) -> Self {
        let live =
            Live { exchange: Arc::new(Mutex::new(exchange)), bell, waited: AtomicBool::new(false) };
        Exchange {
            live: Some(Owned::new(live)),
            held: Held::nothing(),
            #[cfg(feature = "test-panics")]
            panic_in_drop: AtomicBool::new(false),
        }
    }

    fn live(&self, ruby: &Ruby) -> Result<&Live, Error> {
        self.live.as_ref().and_then(Owned::get).ok_or_else(|| forked(ruby))
    }

    fn bell(ruby: &Ruby, rb_self: &Self) -> Result<i32, Error> {
        guarded(ruby, || Ok(rb_self.live(ruby)?.bell.descriptor()))
    }

    /// `[status, [[name, value], ...], length or nil, body?]`; before it `:rewind`, `:continue`,
    /// `[:early_hints, [[name, value], ...]]` or `[:permit, host, [address, ...]]`; `:again`, or a
    /// failure.
    fn head(ruby: &Ruby, rb_self: &Self) -> Result<Value, Error> {
        guarded(ruby, || {
            let live = rb_self.live(ruby)?;
            live.before_look();
            let event = live.call(&rb_self.held, ruby, EngineExchange::head);
            match event {
                Ok(HeadEvent::Head(head)) => Ok(head_value(ruby, &head)?.as_value()),
                Ok(HeadEvent::Rewind) => Ok(ruby.to_symbol("rewind").as_value()),
                Ok(HeadEvent::Continue) => Ok(ruby.to_symbol("continue").as_value()),
                Ok(HeadEvent::EarlyHints(fields)) => {
                    let fields = pairs(ruby, &fields)?.as_value();
                    let hints = ruby.to_symbol("early_hints").as_value();
                    Ok(ruby.ary_new_from_values(&[hints, fields]).as_value())
                }
                Ok(HeadEvent::Permit(host, addresses)) => {
                    Ok(question(ruby, &host, &addresses)?.as_value())
                }
                Ok(HeadEvent::Again) => Ok(live.again(ruby)),
                Err(failure) => Ok(failed(ruby, &failure)?.as_value()),
            }
        })
    }

    /// Has `Deliveries` tell, by `id`, when `head` will answer something else than `:again`: at once if
    /// it would by now.
    fn notify(ruby: &Ruby, rb_self: &Self, id: u64) -> Result<(), Error> {
        guarded(ruby, || {
            let waker = deliveries::of_this_process(ruby)?.waker(id);
            rb_self.live(ruby)?.lock().wake_when_ready(&waker);
            Ok(())
        })
    }

    /// Answers `:permit`: true or false for each of its addresses.
    fn permit(ruby: &Ruby, rb_self: &Self, answers: RArray) -> Result<(), Error> {
        guarded(ruby, || {
            let answers = answers.to_vec()?;
            rb_self.live(ruby)?.lock().permit(answers);
            Ok(())
        })
    }

    /// A binary String of at most `max` bytes, nil at the end, `:again`, or a failure.
    fn read(ruby: &Ruby, rb_self: &Self, max: usize) -> Result<Value, Error> {
        guarded(ruby, || {
            let live = rb_self.live(ruby)?;
            live.before_look();
            let event = live.call(&rb_self.held, ruby, |exchange| exchange.read(max));
            match event {
                Ok(BodyEvent::Chunks(parts)) => Ok(joined(ruby, &parts).as_value()),
                Ok(BodyEvent::End) => Ok(ruby.qnil().as_value()),
                Ok(BodyEvent::Again) => Ok(live.again(ruby)),
                Err(failure) => Ok(failed(ruby, &failure)?.as_value()),
            }
        })
    }

    /// Whether all that is left of the body is here.
    fn whole(ruby: &Ruby, rb_self: &Self) -> Result<bool, Error> {
        guarded(ruby, || Ok(rb_self.live(ruby)?.lock().is_whole()))
    }

    /// Takes the descriptor of the client's socket, of which a duplicate is watched. False if it
    /// cannot be duplicated.
    fn watch(ruby: &Ruby, rb_self: &Self, descriptor: i32) -> Result<bool, Error> {
        guarded(ruby, || {
            let live = rb_self.live(ruby)?;
            let Ok(socket) = fd::duplicate(descriptor) else { return Ok(false) };
            live.lock().watch(socket);
            Ok(true)
        })
    }

    /// `[[[reused, connect, head, status, error], ...], bytes_up, bytes_down]`, times in seconds.
    fn report(ruby: &Ruby, rb_self: &Self) -> Result<RArray, Error> {
        guarded(ruby, || {
            let report = rb_self.live(ruby)?.lock().report();
            let attempts = ruby.ary_new_capa(report.attempts.len());
            for attempt in report.attempts {
                attempts.push((
                    attempt.reused,
                    attempt.connect().as_secs_f64(),
                    attempt.head().as_secs_f64(),
                    attempt.status,
                    attempt.error,
                ))?;
            }
            Ok(ruby.ary_new_from_values(&[
                attempts.as_value(),
                ruby.into_value(report.bytes_up),
                ruby.into_value(report.bytes_down),
            ]))
        })
    }

    /// `[[name, value], ...]` of a response that has ended whole.
    fn trailers(ruby: &Ruby, rb_self: &Self) -> Result<RArray, Error> {
        guarded(ruby, || pairs(ruby, &rb_self.live(ruby)?.lock().trailers()))
    }

    /// Of what a fork has brought here, frees the bell.
    fn let_go(&self, close: bool) {
        if let Some(live) = self.live.as_ref().and_then(Owned::inherited) {
            live.bell.let_go(close);
        }
    }

    /// Ends the exchange and rings for the last time; the caller then closes the bell's IO. False,
    /// and nothing happens, in a process forked from the one that opened it.
    fn close(ruby: &Ruby, rb_self: &Self) -> Result<bool, Error> {
        guarded(ruby, || {
            let Some(live) = rb_self.live.as_ref().and_then(Owned::get) else {
                rb_self.let_go(false);
                return Ok(false);
            };
            live.lock().close();
            rb_self.held.set(ruby, 0);
            live.bell.release();
            Ok(true)
        })
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // A panic in a finalizer would end the process.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            self.let_go(true);
            let live = self.live.take();
            #[cfg(feature = "test-panics")]
            assert!(!self.panic_in_drop.load(Ordering::Relaxed), "a panic asked for by a test");
            drop(live);
        }));
    }
}

#[cfg(feature = "test-panics")]
impl Exchange {
    fn panic(ruby: &Ruby, _rb_self: &Self) -> Result<(), Error> {
        guarded(ruby, || panic!("a panic at the border, asked for by a test"))
    }

    fn panic_in_drop(&self) {
        self.panic_in_drop.store(true, Ordering::Relaxed);
    }
}

pub(crate) fn init(ruby: &Ruby, native: RModule) -> Result<(), Error> {
    let class = native.define_class("Exchange", ruby.class_object())?;
    class.undef_default_alloc_func();
    resolve::<Exchange>(ruby);
    class.define_method("bell", method!(Exchange::bell, 0))?;
    class.define_method("head", method!(Exchange::head, 0))?;
    class.define_method("notify", method!(Exchange::notify, 1))?;
    class.define_method("permit", method!(Exchange::permit, 1))?;
    class.define_method("read", method!(Exchange::read, 1))?;
    class.define_method("whole?", method!(Exchange::whole, 0))?;
    class.define_method("writable", method!(Exchange::writable, 0))?;
    class.define_method("write", method!(Exchange::write, 1))?;
    class.define_method("finish", method!(Exchange::finish, 0))?;
    class.define_method("fail", method!(Exchange::fail, 1))?;
    class.define_method("watch", method!(Exchange::watch, 1))?;
    class.define_method("wake_when_readable", method!(Exchange::wake_when_readable, 1))?;
    class.define_method("take_place", method!(Exchange::take_place, 2))?;
    class.define_method("deliver", method!(Exchange::deliver, 3))?;
    class.define_method("tunnel", method!(Exchange::tunnel, 3))?;
    class.define_method("report", method!(Exchange::report, 0))?;
    class.define_method("trailers", method!(Exchange::trailers, 0))?;
    class.define_method("close", method!(Exchange::close, 0))?;
    #[cfg(feature = "test-panics")]
    {
        class.define_method("panic", method!(Exchange::panic, 0))?;
        class.define_method("panic_in_drop", method!(Exchange::panic_in_drop, 0))?;
    }
    Ok(())
}
