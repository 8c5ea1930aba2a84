//! Hop-by-hop fields (RFC 9110 section 7.6.1): they end here, in both directions.

use http::HeaderName;
use http::header;

/// Removed whether `Connection` lists them or not (the list of Go's ReverseProxy).
const ALWAYS: [&str; 10] = [
    "connection",
    "proxy-connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-authentication-info",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The fields of one message that are not passed on.
#[derive(Debug, Default)]
pub(crate) struct HopByHop {
    listed: Vec<HeaderName>,
}

impl HopByHop {
    /// Reads every `Connection` field of a message.
    pub(crate) fn of<'a>(fields: impl Iterator<Item = (&'a HeaderName, &'a [u8])>) -> Self {
        let listed = fields
            .filter(|(name, _)| **name == header::CONNECTION)
            .flat_map(|(_, value)| value.split(|byte| *byte == b','))
            .filter_map(|token| HeaderName::from_bytes(token.trim_ascii()).ok())
            .collect();
        HopByHop { listed }
    }

    /// Whether the field named so ends here.
    pub(crate) fn holds(&self, name: &HeaderName) -> bool {
        is_hop_by_hop(name.as_str()) || self.listed.contains(name)
    }
}

/// Whether a field ends here in every message. `name` is in lower case.
pub(crate) fn is_hop_by_hop(name: &str) -> bool {
    ALWAYS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(connection: &[&str]) -> HopByHop {
        HopByHop::of(connection.iter().map(|value| (&header::CONNECTION, value.as_bytes())))
    }

    #[test]
    fn hh1_reads_every_connection_line_whatever_the_case_and_space() {
        let fields = hop(&["", "close, X-One ", "\tx-TWO,,x-three"]);
        for name in ["x-one", "x-two", "x-three", "keep-alive"] {
            assert!(fields.holds(&HeaderName::from_static(name)), "{name}");
        }
        assert!(!fields.holds(&HeaderName::from_static("x-four")));
    }

    #[test]
    fn hh7_trailers_is_no_hop_by_hop_field() {
        assert!(!is_hop_by_hop("trailers"));
    }
}
