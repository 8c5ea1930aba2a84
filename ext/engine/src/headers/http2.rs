//! A request's fields as HTTP/2 has them (RFC 9113 section 8).

use http::uri::Authority;
use http::{HeaderMap, header};

use crate::error::{Failure, Kind, Phase};
use crate::target::Target;

/// Takes out what HTTP/2 says otherwise: Host, which is `:authority`, and the framing of chunks.
pub(crate) fn for_http2(
    mut fields: HeaderMap,
    target: &Target,
) -> Result<(HeaderMap, Authority), Failure> {
    let host = fields.remove(header::HOST);
    fields.remove(header::TRANSFER_ENCODING);
    fields.remove(header::CONNECTION);
    let host = host.as_ref().map_or(target.authority().as_bytes(), |host| host.as_bytes());
    let authority = Authority::try_from(host).map_err(|_| {
        let detail = "cannot be asked over HTTP/2 for a Host that is no authority";
        Failure::new(Kind::RequestHead, Phase::Head, &target.origin(), detail)
    })?;
    Ok((fields, authority))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn cn10_sends_no_connection_specific_field() {
        let mut fields = HeaderMap::new();
        fields.insert(header::HOST, HeaderValue::from_static("front.test:81"));
        fields.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        fields.insert(header::TE, HeaderValue::from_static("trailers"));
        let target = Target::parse(b"https://up/x").expect("target");
        let (fields, authority) = for_http2(fields, &target).expect("fields");
        assert_eq!(authority, "front.test:81");
        assert_eq!(fields.keys().collect::<Vec<_>>(), [&header::TE]);
        let (_, authority) = for_http2(HeaderMap::new(), &target).expect("fields");
        assert_eq!(authority, "up");
    }

    #[test]
    fn cn10_refuses_a_host_that_is_no_authority() {
        let mut fields = HeaderMap::new();
        fields.insert(header::HOST, HeaderValue::from_static("a b"));
        let target = Target::parse(b"https://up/x").expect("target");
        let failure = for_http2(fields, &target).expect_err("refused");
        assert_eq!(failure.kind, Kind::RequestHead);
    }
}
