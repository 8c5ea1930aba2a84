//! Authentication that a connection has, not a request: NTLM and Negotiate (RFC 4559 section 6).
//!
//! Whoever uses such a connection next would speak with the rights of the one before.

use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue};

/// The schemes that bind a connection.
const SCHEMES: [&str; 2] = ["ntlm", "negotiate"];

/// Whether one of a message's fields says that its connection is or will be somebody's.
pub(crate) fn binds_connection<'a>(
    mut fields: impl Iterator<Item = (&'a HeaderName, &'a HeaderValue)>,
) -> bool {
    fields.any(|(name, value)| match *name {
        AUTHORIZATION => is_bound(value.as_bytes()),
        // Challenges are a list whose parameters have commas too: any of its parts may be one.
        WWW_AUTHENTICATE => value.as_bytes().split(|byte| *byte == b',').any(is_bound),
        _ => false,
    })
}

fn is_bound(challenge: &[u8]) -> bool {
    let scheme = challenge.trim_ascii_start().split(u8::is_ascii_whitespace).next();
    let scheme = scheme.unwrap_or_default();
    SCHEMES.iter().any(|name| scheme.eq_ignore_ascii_case(name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hh13_ntlm_and_negotiate_bind_their_connection_and_nothing_else_does() {
        let cases = [
            (AUTHORIZATION, "NTLM TlRMTVNTUAAB", true),
            (AUTHORIZATION, "negotiate YII=", true),
            (AUTHORIZATION, "Basic bnRsbTpudGxt", false),
            (AUTHORIZATION, "NTLMx abc", false),
            (WWW_AUTHENTICATE, "NTLM", true),
            (WWW_AUTHENTICATE, "Basic realm=\"a, b\",Negotiate", true),
            (WWW_AUTHENTICATE, "Bearer scope=\"ntlm\"", false),
            (HeaderName::from_static("x-authorization"), "NTLM", false),
        ];
        for (name, value, bound) in cases {
            let value = HeaderValue::from_static(value);
            assert_eq!(binds_connection([(&name, &value)].into_iter()), bound, "{value:?}");
        }
    }
}
