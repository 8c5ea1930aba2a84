//! The request's body on its way to the engine.

use magnus::prelude::*;
use magnus::{Error, RString, Ruby, Value};
use streaming_engine::Written;

use super::{Exchange, Live};
use crate::error::guarded;
use crate::fd;

impl Exchange {
    /// `:taken` (it would be), `:again` or `:stopped`.
    pub(super) fn writable(ruby: &Ruby, rb_self: &Self) -> Result<Value, Error> {
        guarded(ruby, || {
            let live = rb_self.live(ruby)?;
            let written = live.lock().writable();
            Ok(live.written(ruby, written))
        })
    }

    pub(super) fn write(ruby: &Ruby, rb_self: &Self, chunk: RString) -> Result<Value, Error> {
        guarded(ruby, || {
            let live = rb_self.live(ruby)?;
            let chunk = chunk.to_bytes();
            let written = live.call(&rb_self.held, ruby, |exchange| exchange.write(chunk));
            Ok(live.written(ruby, written))
        })
    }

    pub(super) fn finish(ruby: &Ruby, rb_self: &Self) -> Result<(), Error> {
        guarded(ruby, || {
            rb_self.live(ruby)?.lock().finish();
            Ok(())
        })
    }

    pub(super) fn fail(ruby: &Ruby, rb_self: &Self, reason: String) -> Result<(), Error> {
        guarded(ruby, || {
            rb_self.live(ruby)?.lock().fail(reason);
            Ok(())
        })
    }

    /// Takes the descriptor of the client's socket, and rings when there is something to read; to
    /// be called after `:again`. False if that cannot be told.
    pub(super) fn wake_when_readable(
        ruby: &Ruby,
        rb_self: &Self,
        descriptor: i32,
    ) -> Result<bool, Error> {
        guarded(ruby, || {
            let live = rb_self.live(ruby)?;
            let Ok(socket) = fd::duplicate(descriptor) else { return Ok(false) };
            Ok(live.lock().wake_when_readable(socket))
        })
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
