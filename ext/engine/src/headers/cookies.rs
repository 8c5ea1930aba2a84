//! Cookie, which servers join as if it were a list.

use http::{HeaderName, HeaderValue, header};

/// A value as it goes up. Servers join repeated Cookie lines with a comma and a space; a cookie
/// string has semicolons (RFC 6265 section 5.4). A comma without a space is part of a value.
pub(super) fn passed(name: &HeaderName, value: &HeaderValue) -> HeaderValue {
    if *name != header::COOKIE || !value.as_bytes().contains(&b',') {
        return value.clone();
    }
    HeaderValue::from_bytes(&join_cookies(value.as_bytes())).unwrap_or_else(|_| value.clone())
}

fn join_cookies(value: &[u8]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(value.len() + 8);
    for (index, part) in value.split(|byte| *byte == b',').enumerate() {
        if index > 0 {
            let separator: &[u8] = if starts_cookie(part) { b"; " } else { b"," };
            joined.extend_from_slice(separator);
        }
        let starts = index > 0 && starts_cookie(part);
        joined.extend_from_slice(if starts { part.trim_ascii_start() } else { part });
    }
    joined
}

fn starts_cookie(part: &[u8]) -> bool {
    let Some(part) = part.strip_prefix(b" ") else { return false };
    match part.iter().position(|byte| *byte == b'=') {
        Some(0) | None => false,
        Some(end) => HeaderName::from_bytes(&part[..end]).is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hh10_joins_cookies_with_semicolons() {
        assert_eq!(join_cookies(b"a=1, b=2, c=3"), b"a=1; b=2; c=3");
        assert_eq!(join_cookies(b"prefs=x,lang=en"), b"prefs=x,lang=en");
        assert_eq!(join_cookies(b"a=1,2, 3; b=\"x, y\""), b"a=1,2, 3; b=\"x, y\"");
    }
}
