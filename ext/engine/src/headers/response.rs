//! The response's head: from what the upstream sent to what the client may see.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::hop_by_hop::HopByHop;
use crate::framing::ResponseBody;

/// Fields with which an upstream could drive the server in front (X-Accel-Redirect, X-Sendfile).
const STEERING: [&str; 3] = ["x-sendfile", "x-lighttpd-send-file", "x-reproxy-url"];

/// Header or trailer fields in their order, duplicates kept.
pub type Fields = Vec<(HeaderName, HeaderValue)>;

/// A response's head, fit to be passed on.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    /// 200 to 999.
    pub status: u16,
    /// End-to-end fields in the upstream's order, duplicates kept; without Content-Length.
    pub fields: Fields,
    /// What Content-Length to announce, if any.
    pub length: Option<u64>,
    /// Whether a body follows.
    pub body: bool,
}

/// What of the upstream's head goes to the client.
pub(crate) fn pass_on(
    status: u16,
    map: &HeaderMap,
    body: ResponseBody,
    trust_upstream: bool,
) -> ResponseHead {
    let fields = end_to_end(map, trust_upstream);
    ResponseHead { status, fields, length: body.announced(), body: body.follows() }
}

/// The fields of a final or interim response that a client may see, without Content-Length.
pub(crate) fn end_to_end(map: &HeaderMap, trust_upstream: bool) -> Fields {
    let hop = HopByHop::of(map.iter().map(|(name, value)| (name, value.as_bytes())));
    map.iter()
        .filter(|(name, _)| {
            !hop.holds(name) && **name != header::CONTENT_LENGTH && !is_reserved(name)
        })
        .filter(|(name, _)| trust_upstream || !is_steering(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Names that mean something to Rack and its servers, never to a client.
pub(super) fn is_reserved(name: &HeaderName) -> bool {
    name.as_str() == "status" || name.as_str().starts_with("rack.")
}

pub(super) fn is_steering(name: &HeaderName) -> bool {
    name.as_str().starts_with("x-accel-") || STEERING.contains(&name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(trust: bool) -> Vec<String> {
        let mut map = HeaderMap::new();
        for name in [
            "status",
            "rack.hijack",
            "x-accel-redirect",
            "x-sendfile",
            "set-cookie",
            "x-hop",
            "content-length",
            "keep-alive",
            "etag",
        ] {
            map.append(HeaderName::from_static(name), HeaderValue::from_static("v"));
        }
        map.append(header::SET_COOKIE, HeaderValue::from_static("w"));
        map.append(header::CONNECTION, HeaderValue::from_static("X-Hop"));
        let head = pass_on(200, &map, ResponseBody::Unknown, trust);
        head.fields.iter().map(|(name, _)| name.to_string()).collect()
    }

    #[test]
    fn an_upstream_cannot_drive_the_front_server() {
        assert_eq!(names(false), ["set-cookie", "set-cookie", "etag"]);
        assert_eq!(
            names(true),
            ["x-accel-redirect", "x-sendfile", "set-cookie", "set-cookie", "etag"]
        );
    }
}
