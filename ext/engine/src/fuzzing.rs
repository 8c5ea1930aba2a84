//! Doors for the fuzz targets (ext/engine/fuzz), which see nothing private. Only with the feature
//! `fuzzing`, which no build for users has.

use std::net::IpAddr;

use http::{HeaderMap, Method, Version};

use crate::headers::{self, ResponseHead};
use crate::{destination, framing};

/// What the client gets of a response's head, and whether the connection may serve again; or which
/// rule the head broke.
pub fn response(
    method: &Method,
    status: u16,
    version: Version,
    fields: &HeaderMap,
) -> Result<(ResponseHead, bool), String> {
    let framing =
        framing::read(method, status, version, fields).map_err(|what| what.to_string())?;
    Ok((headers::pass_on(status, fields, framing.body, false), framing.reusable))
}

/// Whether the default destination policy permits the address.
pub fn permits(address: IpAddr) -> bool {
    destination::permits_by_default(address)
}
