//! Ruby values into the engine's, where more than one class needs it.

use magnus::{Error, RArray, RString, Ruby, TryConvert, TypedData, Value, value::ReprValue};
use streaming_engine::{Bytes, HeaderValue};

/// `[[name, value], ...]`, byte strings both.
pub(crate) fn pairs(fields: RArray) -> Result<Vec<(Bytes, Bytes)>, Error> {
    fields
        .into_iter()
        .map(|pair| {
            let pair = RArray::try_convert(pair)?;
            Ok((bytes(pair.entry(0)?)?, bytes(pair.entry(1)?)?))
        })
        .collect()
}

/// The bytes of a String.
pub(crate) fn bytes(value: Value) -> Result<Bytes, Error> {
    Ok(RString::try_convert(value)?.to_bytes())
}

/// A header value, or nothing for nil, an empty String or one that no header can hold.
pub(crate) fn header_value(value: Value) -> Result<Option<HeaderValue>, Error> {
    if value.is_nil() {
        return Ok(None);
    }
    let bytes = bytes(value)?;
    Ok(HeaderValue::from_bytes(&bytes).ok().filter(|value| !value.is_empty()))
}

/// Looks a wrapped type's class up now. magnus does it at the first use, inside a `OnceLock` and
/// by calling Ruby, which may switch threads there: another thread that needs the class would wait
/// for the lock with the GVL held, for ever.
pub(crate) fn resolve<T: TypedData>(ruby: &Ruby) {
    let _ = T::class(ruby);
}

/// An ArgumentError with this message.
pub(crate) fn argument_error(ruby: &Ruby, message: impl Into<String>) -> Error {
    Error::new(ruby.exception_arg_error(), message.into())
}
