//! How many header or trailer lines an upstream may send, and of how many bytes.

use http::HeaderMap;

use crate::policy::Limits;

/// What a line has beside its name and value: a colon, a space, its end.
const LINE: usize = 4;

/// Checks fields against `max_headers` and `max_header_bytes`.
///
/// `what` names them: "header" or "trailer". The error continues the sentence "upstream X ...".
pub(crate) fn within(limits: &Limits, what: &str, map: &HeaderMap) -> Result<(), String> {
    let (lines, most) = (map.len(), limits.headers);
    if lines > most {
        return Err(format!("sent {lines} {what} lines, {most} are allowed (max_headers)"));
    }
    let bytes: usize =
        map.iter().map(|(name, value)| name.as_str().len() + value.len() + LINE).sum();
    let most = limits.header_bytes;
    if bytes > most {
        let rule = format!("{most} are allowed (max_header_bytes)");
        return Err(format!("sent {bytes} bytes of {what} lines, {rule}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use http::header::SET_COOKIE;

    #[test]
    fn rs3_counts_every_line_and_its_end() {
        let mut map = HeaderMap::new();
        map.append(SET_COOKIE, HeaderValue::from_static("a=1"));
        map.append(SET_COOKIE, HeaderValue::from_static("b=2"));
        let bytes = "set-cookie: a=1\r\nset-cookie: b=2\r\n".len();
        let check = |headers, header_bytes| {
            within(&Limits { headers, header_bytes, ..Limits::default() }, "header", &map)
        };
        assert_eq!(check(2, bytes), Ok(()));
        assert!(check(1, bytes).expect_err("a line too many").ends_with("(max_headers)"));
        assert!(check(2, bytes - 1).expect_err("a byte too many").ends_with("(max_header_bytes)"));
    }
}
