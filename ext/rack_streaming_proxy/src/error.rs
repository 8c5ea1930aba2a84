//! Failures and defects as Ruby sees them.
//!
//! A failed exchange is an answer, not an exception: it crosses as `[:failed, kind, phase,
//! upstream, message, errno]` and the Ruby side raises. Defects (a panic, an object from before a
//! fork) are raised here as `Rack::StreamingProxy::UnknownError`.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use magnus::prelude::*;
use magnus::{Error, ExceptionClass, RArray, RModule, Ruby, Value};
use streaming_engine::{Failure, Kind, Phase};

/// Runs a bound method's body; a panic becomes `UnknownError` instead of Ruby's `fatal`, which
/// would end the process.
pub(crate) fn guarded<T>(ruby: &Ruby, body: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        Err(unknown(ruby, &format!("a defect in the engine: {}", text_of(&*panic))))
    })
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
}

/// An `UnknownError`.
pub(crate) fn unknown(ruby: &Ruby, message: &str) -> Error {
    let class = ruby
        .class_object()
        .const_get::<_, RModule>("Rack")
        .and_then(|rack| rack.const_get::<_, RModule>("StreamingProxy"))
        .and_then(|library| library.const_get::<_, ExceptionClass>("UnknownError"));
    match class {
        Ok(class) => Error::new(class, message.to_owned()),
        Err(err) => err,
    }
}

/// The facts of a failure for want of a descriptor; another reason is raised.
pub(crate) fn out_of_descriptors(
    ruby: &Ruby,
    upstream: &str,
    err: &io::Error,
) -> Result<Value, Error> {
    let what = "cannot be asked: the engine could not be started";
    let failure = Failure::io(Kind::Internal, Phase::Connect, upstream, what, err);
    match failure.kind {
        Kind::Overloaded => Ok(failed(ruby, &failure)?.as_value()),
        _ => Err(unknown(ruby, &format!("{failure}: {err}"))),
    }
}

/// What a method of an inherited object answers after a fork.
pub(crate) fn forked(ruby: &Ruby) -> Error {
    unknown(ruby, "this exchange belongs to the process that this one was forked from")
}

/// A failure as the Ruby side takes it.
pub(crate) fn failed(ruby: &Ruby, failure: &Failure) -> Result<RArray, Error> {
    let facts = ruby.ary_new_capa(6);
    facts.push(ruby.to_symbol("failed"))?;
    facts.push(ruby.to_symbol(failure.kind.name()))?;
    facts.push(ruby.to_symbol(failure.phase.name()))?;
    facts.push(failure.upstream.as_str())?;
    facts.push(failure.to_string())?;
    facts.push(failure.errno)?;
    Ok(facts)
}
