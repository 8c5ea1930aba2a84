//! What the length fields of a response may say (RFC 9112 section 6.3).
//!
//! One reading, before anything of the response reaches the client. hyper frames the body; this
//! decides whether its reading is the only possible one.

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Version};

/// How much body a response has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResponseBody {
    /// None, whatever its fields say; what Content-Length may be announced all the same (HEAD).
    None { announced: Option<u64> },
    /// Exactly so many bytes.
    Length(u64),
    /// Chunked, or until the connection closes.
    Unknown,
}

/// A response whose length can be read in more than one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Ambiguity {
    #[error("sent a Transfer-Encoding other than exactly \"chunked\"")]
    TransferEncoding,
    #[error("sent Transfer-Encoding in an HTTP/1.0 response")]
    OldVersion,
    #[error("sent a malformed or contradictory Content-Length")]
    ContentLength,
    #[error("switched protocols without being asked")]
    Unasked101,
}

/// A response's body, and whether the connection may serve another request after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Framing {
    pub(crate) body: ResponseBody,
    pub(crate) reusable: bool,
}

impl Framing {
    /// What follows a 101 is no body, nor HTTP.
    pub(crate) const TUNNEL: Framing =
        Framing { body: ResponseBody::None { announced: None }, reusable: false };
}

impl ResponseBody {
    /// The Content-Length that the client gets.
    pub(crate) fn announced(self) -> Option<u64> {
        match self {
            ResponseBody::None { announced } => announced,
            ResponseBody::Length(length) => Some(length),
            ResponseBody::Unknown => None,
        }
    }

    /// Checks a length that is known before the body comes against `max_response_body`.
    pub(crate) fn within(self, most: Option<u64>) -> Result<(), String> {
        match (self, most) {
            (ResponseBody::Length(length), Some(most)) if length > most => Err(format!(
                "announced a body of {length} bytes, {most} are allowed (max_response_body)"
            )),
            _ => Ok(()),
        }
    }

    /// Whether body bytes follow.
    pub(crate) fn follows(self) -> bool {
        !matches!(self, ResponseBody::None { .. })
    }
}

/// Reads the length fields of a response to a request with this method.
pub(crate) fn read(
    method: &Method,
    status: u16,
    version: Version,
    fields: &HeaderMap,
) -> Result<Framing, Ambiguity> {
    if status == 101 {
        return Err(Ambiguity::Unasked101);
    }
    let chunked = is_chunked(version, fields)?;
    let length = content_length(fields)?;
    let body = match (status, chunked, length) {
        (204 | 304, _, _) => ResponseBody::None { announced: None },
        (205, _, _) => ResponseBody::None { announced: Some(0) },
        (_, true, _) if *method == Method::HEAD => ResponseBody::None { announced: None },
        (_, false, announced) if *method == Method::HEAD => ResponseBody::None { announced },
        (_, true, _) | (_, false, None) => ResponseBody::Unknown,
        (_, false, Some(length)) => ResponseBody::Length(length),
    };
    // Both fields together are an attack or a defect: chunked wins and the connection ends. So does
    // one after a 204 that announces a body, which may still come (RFC 9110 section 8.6).
    let announced = chunked || length.is_some_and(|length| length > 0);
    let doubtful = (chunked && length.is_some()) || (status == 204 && announced);
    Ok(Framing { body, reusable: !doubtful })
}

fn is_chunked(version: Version, fields: &HeaderMap) -> Result<bool, Ambiguity> {
    let mut codings = fields.get_all(TRANSFER_ENCODING).iter();
    let Some(only) = codings.next() else { return Ok(false) };
    if version < Version::HTTP_11 {
        return Err(Ambiguity::OldVersion);
    }
    if codings.next().is_some() || !only.as_bytes().eq_ignore_ascii_case(b"chunked") {
        return Err(Ambiguity::TransferEncoding);
    }
    Ok(true)
}

fn content_length(fields: &HeaderMap) -> Result<Option<u64>, Ambiguity> {
    let mut length = None;
    for value in fields.get_all(CONTENT_LENGTH) {
        let text = value.to_str().map_err(|_| Ambiguity::ContentLength)?;
        for part in text.split(',') {
            let part = part.trim_matches([' ', '\t']);
            if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(Ambiguity::ContentLength);
            }
            // What others hold in a signed number would be another length there.
            let number: i64 = part.parse().map_err(|_| Ambiguity::ContentLength)?;
            let number = number.unsigned_abs();
            if length.is_some_and(|other| other != number) {
                return Err(Ambiguity::ContentLength);
            }
            length = Some(number);
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn framing(version: Version, fields: &[(&str, &str)]) -> Result<Framing, Ambiguity> {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            let name = HeaderName::try_from(*name).expect("name");
            map.append(name, HeaderValue::try_from(*value).expect("value"));
        }
        read(&Method::GET, 200, version, &map)
    }

    #[test]
    fn length_fields_have_one_reading_or_none() {
        let v11 = Version::HTTP_11;
        let chunked = ("transfer-encoding", "chunked");
        let cl = |value| ("content-length", value);
        let whole = |body| Ok(Framing { body, reusable: true });
        assert_eq!(framing(v11, &[]), whole(ResponseBody::Unknown));
        assert_eq!(framing(v11, &[chunked]), whole(ResponseBody::Unknown));
        assert_eq!(framing(v11, &[cl("3")]), whole(ResponseBody::Length(3)));
        assert_eq!(framing(v11, &[cl("3"), cl("3, 3")]), whole(ResponseBody::Length(3)));
        let both = Framing { body: ResponseBody::Unknown, reusable: false };
        assert_eq!(framing(v11, &[cl("30"), chunked]), Ok(both));
        for value in ["+3", "-1", "", "3,", "3;", "0x3", "9223372036854775808"] {
            assert_eq!(framing(v11, &[cl(value)]), Err(Ambiguity::ContentLength), "{value}");
        }
        assert_eq!(framing(v11, &[cl("3"), cl("4")]), Err(Ambiguity::ContentLength));
        for value in ["gzip, chunked", "chunked, gzip", "identity", "chunked, chunked", "xchunked"]
        {
            let field = ("transfer-encoding", value);
            assert_eq!(framing(v11, &[field]), Err(Ambiguity::TransferEncoding), "{value}");
        }
        assert_eq!(framing(v11, &[chunked, chunked]), Err(Ambiguity::TransferEncoding));
        assert_eq!(framing(Version::HTTP_10, &[chunked]), Err(Ambiguity::OldVersion));
    }

    #[test]
    fn rs1_a_204_that_announces_a_body_ends_its_connection() {
        for (name, value, reusable) in [
            ("content-length", "3", false),
            ("content-length", "0", true),
            ("transfer-encoding", "chunked", false),
            ("x-other", "3", true),
        ] {
            let mut map = HeaderMap::new();
            map.insert(name, HeaderValue::from_static(value));
            let framing = read(&Method::GET, 204, Version::HTTP_11, &map);
            assert_eq!(framing.map(|framing| framing.reusable), Ok(reusable), "{name}: {value}");
        }
    }

    #[test]
    fn rs2_head_keeps_the_length_and_304_has_none() {
        let mut map = HeaderMap::new();
        map.insert(CONTENT_LENGTH, HeaderValue::from(300));
        let body = |method, status| read(&method, status, Version::HTTP_11, &map).map(|f| f.body);
        assert_eq!(body(Method::HEAD, 200), Ok(ResponseBody::None { announced: Some(300) }));
        assert_eq!(body(Method::GET, 304), Ok(ResponseBody::None { announced: None }));
        assert_eq!(body(Method::GET, 204), Ok(ResponseBody::None { announced: None }));
        assert_eq!(body(Method::GET, 101), Err(Ambiguity::Unasked101));
    }
}
