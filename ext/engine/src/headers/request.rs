//! The request's head as the client sent it.

use http::{HeaderName, HeaderValue, Method, header};

use super::forwarding::our_hops;
use crate::error::{Failure, Kind, Phase};
use crate::target::Target;

/// What is known of the client and of how its request came.
#[derive(Clone, Debug, Default)]
pub struct ClientFacts {
    /// The peer's address.
    pub address: Option<HeaderValue>,
    /// `http` or `https`, as the client used it.
    pub scheme: Option<HeaderValue>,
    /// The client's Host field.
    pub host: Option<HeaderValue>,
    /// The received protocol version, such as `1.1`.
    pub version: String,
    /// Whether the client can be told of a 103.
    pub early_hints: bool,
    /// The protocols that it may change to: whoever sets this can make a tunnel of its connection.
    pub upgrade: Option<HeaderValue>,
}

/// A request's head as the server took it in, checked to be HTTP.
#[derive(Clone, Debug)]
pub struct RequestHead {
    /// Any method token.
    pub method: Method,
    /// Where it goes.
    pub target: Target,
    /// All fields, in order, with duplicates.
    pub fields: Vec<(HeaderName, HeaderValue)>,
    /// Who asks.
    pub client: ClientFacts,
}

impl RequestHead {
    /// Checks method and fields. `host` is the client's Host, which is not among `fields`.
    pub fn new<'a>(
        method: &[u8],
        target: Target,
        fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
        client: ClientFacts,
    ) -> Result<Self, Failure> {
        let refuse =
            |what: String| Failure::new(Kind::RequestHead, Phase::Head, &target.origin(), what);
        let method = Method::from_bytes(method)
            .map_err(|_| refuse("the request's method is no token".to_owned()))?;
        let fields = fields
            .map(|(name, value)| field(name, value).map_err(&refuse))
            .collect::<Result<_, _>>()?;
        Ok(RequestHead { method, target, fields, client })
    }

    /// The failure of a request that has passed this library more than `max_hops` times (RFC 9110
    /// section 7.6).
    pub(crate) fn loop_detected(&self, max_hops: u32) -> Option<Failure> {
        let vias = self.fields.iter().filter(|(name, _)| *name == header::VIA);
        let hops: usize = vias.map(|(_, value)| our_hops(value)).sum();
        (hops > max_hops as usize).then(|| {
            let detail = format!("the request has passed here {hops} times (max_hops {max_hops})");
            Failure::new(Kind::Loop, Phase::Head, &self.target.origin(), detail)
        })
    }

    /// Whether the client waits to be asked for its body.
    pub(crate) fn expects_continue(&self) -> bool {
        self.fields.iter().any(|(name, value)| *name == header::EXPECT && is_continue(value))
    }

    /// Whether the client takes trailer fields (RFC 9110 section 10.1.4).
    pub(super) fn takes_trailers(&self) -> bool {
        self.fields.iter().filter(|(name, _)| *name == header::TE).any(|(_, value)| {
            let codings = value.as_bytes().split(|byte| *byte == b',');
            codings.map(<[u8]>::trim_ascii).any(|one| one.eq_ignore_ascii_case(b"trailers"))
        })
    }

    /// Whether a second sending does no more than the first (RFC 9110 section 9.2.2), or the
    /// client said that it may be repeated.
    pub(crate) fn is_repeatable(&self) -> bool {
        self.method.is_idempotent()
            || self.fields.iter().any(|(name, _)| name.as_str().ends_with("idempotency-key"))
    }
}

pub(super) fn is_continue(value: &HeaderValue) -> bool {
    value.as_bytes().eq_ignore_ascii_case(b"100-continue")
}

fn field(name: &[u8], value: &[u8]) -> Result<(HeaderName, HeaderValue), String> {
    let readable = String::from_utf8_lossy(&name[..name.len().min(64)]).into_owned();
    let parsed = HeaderName::from_bytes(name)
        .map_err(|_| format!("the request has a malformed header name {readable:?}"))?;
    let value = HeaderValue::from_bytes(value)
        .map_err(|_| format!("the request's header {readable} holds a control character"))?;
    Ok((parsed, value))
}
