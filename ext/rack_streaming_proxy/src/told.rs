//! What an exchange tells, as Ruby values.

use std::net::IpAddr;

use magnus::prelude::*;
use magnus::{Error, RArray, RString, Ruby};
use streaming_engine::{Bytes, Fields, ResponseHead};

/// `[:permit, host, [address, ...]]`.
pub(crate) fn question(ruby: &Ruby, host: &str, addresses: &[IpAddr]) -> Result<RArray, Error> {
    let texts = ruby.ary_new_capa(addresses.len());
    for address in addresses {
        texts.push(address.to_string())?;
    }
    Ok(ruby.ary_new_from_values(&[
        ruby.to_symbol("permit").as_value(),
        ruby.str_new(host).as_value(),
        texts.as_value(),
    ]))
}

/// `[status, [[name, value], ...], length or nil, body?]`.
pub(crate) fn head_value(ruby: &Ruby, head: &ResponseHead) -> Result<RArray, Error> {
    let fields = pairs(ruby, &head.fields)?;
    Ok(ruby.ary_new_from_values(&[
        ruby.into_value(head.status),
        fields.as_value(),
        ruby.into_value(head.length),
        ruby.into_value(head.body),
    ]))
}

/// `[[name, value], ...]`; names are interned, for the same few come again and again.
pub(crate) fn pairs(ruby: &Ruby, fields: &Fields) -> Result<RArray, Error> {
    let pairs = ruby.ary_new_capa(fields.len());
    for (name, value) in fields {
        let name = ruby.str_new(name.as_str()).to_interned_str();
        pairs.push((name, ruby.str_from_slice(value.as_bytes())))?;
    }
    Ok(pairs)
}

/// One binary String, each part copied once.
pub(crate) fn joined(ruby: &Ruby, parts: &[Bytes]) -> RString {
    if let [only] = parts {
        return ruby.str_from_slice(only);
    }
    let whole = ruby.str_buf_new(parts.iter().map(Bytes::len).sum());
    for part in parts {
        whole.cat(part);
    }
    whole
}
