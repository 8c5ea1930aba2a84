//! Trailer fields (RFC 9110 section 6.5): those that may be told, never merged into the header.

use http::{HeaderMap, HeaderName};

use super::hop_by_hop::HopByHop;
use super::response::{Fields, is_reserved, is_steering};

/// Fields that mean something only before the body: framing, routing, request modifiers,
/// authentication, response control data, and how to process the content (RFC 9110 section 6.5.1).
const FORBIDDEN: [&str; 23] = [
    "age",
    "authentication-info",
    "authorization",
    "cache-control",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "expect",
    "expires",
    "host",
    "location",
    "max-forwards",
    "pragma",
    "range",
    "retry-after",
    "set-cookie",
    "vary",
    "via",
    "warning",
    "www-authenticate",
];

/// Decides which trailer fields of one response may be told.
#[derive(Debug)]
pub(crate) struct Trailers {
    hop: HopByHop,
    trust_upstream: bool,
}

impl Trailers {
    /// `head` is the response's, whose `Connection` counts for its trailers too.
    pub(crate) fn after(head: &HeaderMap, trust_upstream: bool) -> Self {
        let hop = HopByHop::of(head.iter().map(|(name, value)| (name, value.as_bytes())));
        Trailers { hop, trust_upstream }
    }

    /// Those that may be told, in their order.
    pub(crate) fn permitted(&self, map: &HeaderMap) -> Fields {
        let permitted = map.iter().filter(|(name, _)| self.permits(name));
        permitted.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    fn permits(&self, name: &HeaderName) -> bool {
        let forbidden = FORBIDDEN.contains(&name.as_str()) || name.as_str().starts_with("if-");
        let steering = !self.trust_upstream && is_steering(name);
        !(forbidden || steering || self.hop.holds(name) || is_reserved(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderValue, header};

    #[test]
    fn st11_only_what_means_something_after_the_body_passes() {
        let mut head = HeaderMap::new();
        head.append(header::CONNECTION, HeaderValue::from_static("X-Hop"));
        let mut map = HeaderMap::new();
        let forbidden = FORBIDDEN.into_iter().chain([
            "connection",
            "keep-alive",
            "proxy-authenticate",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
            "if-match",
            "x-hop",
            "x-accel-redirect",
            "rack.hijack",
            "status",
        ]);
        for name in forbidden.chain(["x-digest", "grpc-status", "server-timing"]) {
            map.append(HeaderName::from_static(name), HeaderValue::from_static("v"));
        }
        map.append("x-digest", HeaderValue::from_static("w"));
        let told = Trailers::after(&head, false).permitted(&map);
        let names: Vec<_> = told.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["x-digest", "x-digest", "grpc-status", "server-timing"]);
    }
}
