//! `Native::Exchange`: one request and its response.
//!
//! `head` and `read` answer `:again` when nothing is here; the bell then becomes readable at the
//! next change. `close` is idempotent and may come at any moment, from any Ruby thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use magnus::prelude::*;
use magnus::{
    DataTypeFunctions, Error, RArray, RModule, RString, Ruby, Symbol, TypedData, Value, method,
};
use streaming_engine::{
    BodyEvent, BodyFraming, Delivery, Exchange as EngineExchange, Failure, HeadEvent, Kind, Phase,
    Tunnel, Written,
};

use crate::bell::Bell;
use crate::client;
use crate::convert::{argument_error, resolve};
use crate::error::{failed, forked, guarded, out_of_descriptors};
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

    /// `:taken` (it would be), `:again` or `:stopped`.
    fn writable(ruby: &Ruby, rb_self: &Self) -> Result<Value, Error> {
        guarded(ruby, || {
            let live = rb_self.live(ruby)?;
            let written = live.lock().writable();
            Ok(live.written(ruby, written))
        })
    }

    fn write(ruby: &Ruby, rb_self: &Self, chunk: RString) -> Result<Value, Error> {
        guarded(ruby, || {
            let live = rb_self.live(ruby)?;
            let chunk = chunk.to_bytes();
            let written = live.call(&rb_self.held, ruby, |exchange| exchange.write(chunk));
            Ok(live.written(ruby, written))
        })
    }

    fn finish(ruby: &Ruby, rb_self: &Self) -> Result<(), Error> {
        guarded(ruby, || {
            rb_self.live(ruby)?.lock().finish();
            Ok(())
        })
    }

    fn fail(ruby: &Ruby, rb_self: &Self, reason: String) -> Result<(), Error> {
        guarded(ruby, || {
            rb_self.live(ruby)?.lock().fail(reason);
            Ok(())
        })
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

    /// Takes the descriptor of the client's socket, and rings when there is something to read; to
    /// be called after `:again`. False if that cannot be told.
    fn wake_when_readable(ruby: &Ruby, rb_self: &Self, descriptor: i32) -> Result<bool, Error> {
        guarded(ruby, || {
            let live = rb_self.live(ruby)?;
            let Ok(socket) = fd::duplicate(descriptor) else { return Ok(false) };
            Ok(live.lock().wake_when_readable(socket))
        })
    }

    /// Takes one of `most` places for responses that the engine writes, until `close`; nil: as many
    /// as are asked for. nil, or the facts of a failure.
    fn take_place(
        ruby: &Ruby,
        rb_self: &Self,
        most: Option<usize>,
        upstream: String,
    ) -> Result<Value, Error> {
        guarded(ruby, || {
            let live = rb_self.live(ruby)?;
            if let Err(err) = client::deliveries() {
                return out_of_descriptors(ruby, &upstream, &err);
            }
            if live.lock().take_place(most.unwrap_or(usize::MAX)) {
                return Ok(ruby.qnil().as_value());
            }
            let most = most.unwrap_or_default();
            let detail = format!("has answered, but {most} responses are delivered (max_streams)");
            let failure = Failure::new(Kind::Overloaded, Phase::Head, &upstream, detail);
            Ok(failed(ruby, &failure)?.as_value())
        })
    }

    /// Has the engine write the response, whose head has been read, to the socket of this
    /// descriptor, of which it takes a duplicate. `delivery` is `[head, framing, send_timeout,
    /// drain_timeout, min_send_rate, upstream]`, with `head` the bytes to write first, `framing`
    /// `:length`, `:chunks` or `:end`, and seconds or bytes a second, or nil; `Deliveries` tells of
    /// its end, by `id`. False, and nothing happens, if there is no descriptor.
    fn deliver(
        ruby: &Ruby,
        rb_self: &Self,
        descriptor: i32,
        delivery: RArray,
        id: u64,
    ) -> Result<bool, Error> {
        guarded(ruby, || {
            let live = rb_self.live(ruby)?;
            let Ok(socket) = fd::duplicate(descriptor) else { return Ok(false) };
            let framing: Symbol = delivery.entry(1)?;
            let delivery = Delivery {
                socket,
                head: delivery.entry::<RString>(0)?.to_bytes(),
                framing: body_framing(ruby, &framing.name()?)?,
                send_timeout: delivery.entry::<Option<f64>>(2)?.map(Duration::from_secs_f64),
                drain_timeout: Duration::from_secs_f64(delivery.entry(3)?),
                min_send_rate: delivery.entry(4)?,
                upstream: delivery.entry(5)?,
            };
            client::deliver(ruby, live.exchange.clone(), delivery, id)?;
            // It is no longer Ruby's to free.
            rb_self.held.set(ruby, 0);
            live.bell.release();
            Ok(true)
        })
    }

    /// Has the engine pass bytes on between the upstream, whose 101 has been read, and the socket of
    /// this descriptor, of which it takes a duplicate. `tunnel` is `[head, early, idle_timeout,
    /// upstream]`, with `head` the bytes to write first, `early` what the client has sent behind its
    /// request, and seconds or nil; `Deliveries` tells of its end, by `id`. False, and nothing happens,
    /// if there is no descriptor.
    fn tunnel(
        ruby: &Ruby,
        rb_self: &Self,
        descriptor: i32,
        tunnel: RArray,
        id: u64,
    ) -> Result<bool, Error> {
        guarded(ruby, || {
            let live = rb_self.live(ruby)?;
            let Ok(socket) = fd::duplicate(descriptor) else { return Ok(false) };
            let tunnel = Tunnel {
                socket,
                head: tunnel.entry::<RString>(0)?.to_bytes(),
                early: tunnel.entry::<RString>(1)?.to_bytes(),
                idle_timeout: tunnel.entry::<Option<f64>>(2)?.map(Duration::from_secs_f64),
                upstream: tunnel.entry(3)?,
            };
            client::tunnel(ruby, live.exchange.clone(), tunnel, id)?;
            live.bell.release();
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

fn body_framing(ruby: &Ruby, name: &str) -> Result<BodyFraming, Error> {
    match name {
        "length" => Ok(BodyFraming::Length),
        "chunks" => Ok(BodyFraming::Chunks),
        "end" => Ok(BodyFraming::End),
        _ => Err(argument_error(ruby, "framing takes :length, :chunks or :end")),
    }
}

impl Live {
    fn written(&self, ruby: &Ruby, written: Written) -> Value {
        match written {
            Written::Taken => ruby.to_symbol("taken").as_value(),
            Written::Again => self.again(ruby),
            Written::Stopped => ruby.to_symbol("stopped").as_value(),
        }
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
