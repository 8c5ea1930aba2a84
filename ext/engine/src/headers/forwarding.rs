//! Fields that tell the upstream about the client and the way: X-Forwarded-*, Via, Host.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::request::ClientFacts;
use crate::target::Target;

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The received-by part of our Via entry: a pseudonym, never a host name (RFC 9110 7.6.3).
const PSEUDONYM: &str = "rack-streaming-proxy";

/// What becomes of X-Forwarded-For, -Proto and -Host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum XForwarded {
    /// The client's address is appended to X-Forwarded-For; -Proto and -Host keep an inbound
    /// value, else get the scheme and Host of this hop.
    #[default]
    Append,
    /// Inbound `X-Forwarded-*` and `Forwarded` are dropped; ours are set.
    Replace,
    /// Nothing is added; inbound fields pass unchanged.
    Off,
}

/// How the upstream learns of the client.
#[derive(Clone, Copy, Debug, Default)]
pub struct Forwarding {
    /// What becomes of X-Forwarded-*.
    pub x_forwarded: XForwarded,
    /// Whether `Via` gets an entry of ours.
    pub via: bool,
    /// Entries of ours that a request may carry in `Via` before it counts as a loop.
    pub max_hops: u32,
    /// Whether the upstream sees the client's Host instead of the URL's.
    pub preserve_host: bool,
}

impl Forwarding {
    /// Whether an inbound field is dropped because ours takes its place or it may not be believed.
    pub(crate) fn drops(&self, name: &HeaderName) -> bool {
        match self.x_forwarded {
            XForwarded::Off => false,
            XForwarded::Append => *name == FOR,
            XForwarded::Replace => {
                *name == header::FORWARDED || name.as_str().starts_with("x-forwarded-")
            }
        }
    }

    /// The value of Host.
    pub(crate) fn host(&self, client: &ClientFacts, target: &Target) -> Option<HeaderValue> {
        match &client.host {
            Some(host) if self.preserve_host => Some(host.clone()),
            _ => HeaderValue::try_from(target.authority()).ok(),
        }
    }

    /// Adds our fields; `inbound_for` holds the client's X-Forwarded-For lines.
    pub(crate) fn add(
        &self,
        map: &mut HeaderMap,
        client: &ClientFacts,
        inbound_for: &[HeaderValue],
    ) {
        self.add_x_forwarded(map, client, inbound_for);
        if self.via {
            if let Ok(entry) = HeaderValue::try_from(format!("{} {PSEUDONYM}", client.version)) {
                map.append(header::VIA, entry);
            }
        }
    }

    fn add_x_forwarded(&self, map: &mut HeaderMap, client: &ClientFacts, inbound: &[HeaderValue]) {
        let mut chain: Vec<&[u8]> = match self.x_forwarded {
            XForwarded::Off => return,
            XForwarded::Append => inbound.iter().map(HeaderValue::as_bytes).collect(),
            XForwarded::Replace => Vec::new(),
        };
        chain.extend(client.address.as_ref().map(HeaderValue::as_bytes));
        chain.retain(|entry| !entry.is_empty());
        if let (false, Ok(value)) =
            (chain.is_empty(), HeaderValue::try_from(chain.join(&b", "[..])))
        {
            map.append(FOR, value);
        }
        for (name, ours) in [(PROTO, &client.scheme), (HOST, &client.host)] {
            if let (false, Some(value)) = (map.contains_key(&name), ours) {
                map.append(name, value.clone());
            }
        }
    }
}

/// How many entries of a Via field's value are ours.
pub(crate) fn our_hops(value: &HeaderValue) -> usize {
    let entries = value.as_bytes().split(|byte| *byte == b',');
    entries
        .filter(|entry| {
            let mut words = entry.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
            words.nth(1) == Some(PSEUDONYM.as_bytes())
        })
        .count()
}

/// Whether the field is X-Forwarded-For.
pub(crate) fn is_forwarded_for(name: &HeaderName) -> bool {
    *name == FOR
}
