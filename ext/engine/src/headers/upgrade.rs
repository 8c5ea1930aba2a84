//! A change of protocols (RFC 9110 section 7.8): what an upstream may change to.

use http::{HeaderMap, HeaderValue, Version, header};

use super::response::Fields;

/// Whether the 101 to a request that has asked for these protocols is one, or which rule it breaks.
pub(crate) fn switched(
    asked: &HeaderValue,
    version: Version,
    fields: &HeaderMap,
) -> Result<(), String> {
    if version != Version::HTTP_11 {
        return Err("switched protocols in a response that is not HTTP/1.1".to_owned());
    }
    let connection = fields.get_all(header::CONNECTION);
    if !connection.iter().flat_map(tokens).any(|token| token.eq_ignore_ascii_case(b"upgrade")) {
        return Err("switched protocols without \"Connection: upgrade\"".to_owned());
    }
    let mut chosen = fields.get_all(header::UPGRADE).iter().flat_map(tokens).peekable();
    if chosen.peek().is_none() {
        return Err("switched protocols without saying to which".to_owned());
    }
    let known = |token: &[u8]| tokens(asked).any(|one| one.eq_ignore_ascii_case(token));
    match chosen.find(|token| !known(token)) {
        None => Ok(()),
        Some(other) => Err(format!(
            "switched to the protocol {:?}, for which it was not asked",
            String::from_utf8_lossy(&other[..other.len().min(64)])
        )),
    }
}

/// The fields of a 101 that make it one, for the client.
pub(crate) fn switching(fields: &HeaderMap) -> Fields {
    let chosen = fields.get_all(header::UPGRADE).iter().map(|one| (header::UPGRADE, one.clone()));
    let connection = (header::CONNECTION, HeaderValue::from_static("Upgrade"));
    std::iter::once(connection).chain(chosen).collect()
}

fn tokens(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let tokens = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    tokens.filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(asked: &'static str, fields: &[(&'static str, &'static [u8])]) -> Result<(), String> {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(*name, HeaderValue::from_bytes(value).expect("a value"));
        }
        switched(&HeaderValue::from_static(asked), Version::HTTP_11, &map)
    }

    #[test]
    fn ws1_a_101_changes_to_what_was_asked_for() {
        let listed: (&str, &[u8]) = ("connection", b"x-a, Upgrade");
        for (asked, chosen) in [
            ("websocket", &b"WebSocket"[..]),
            ("a/1, websocket", b"websocket"),
            ("a/1, b", b"B, A/1"),
        ] {
            assert_eq!(answer(asked, &[listed, ("upgrade", chosen)]), Ok(()), "{asked}");
        }
    }

    #[test]
    fn ws1_a_101_to_anything_else_is_refused() {
        let listed: (&str, &[u8]) = ("connection", b"upgrade");
        let to = |chosen: &'static [u8]| answer("websocket", &[listed, ("upgrade", chosen)]);
        for chosen in [&b"h2c"[..], b"websocket, h2c", b"websocket/13", b"web\xffsocket"] {
            assert!(to(chosen).is_err_and(|rule| rule.contains("not asked")), "{chosen:?}");
        }
        for chosen in [&b""[..], b" , "] {
            assert!(to(chosen).is_err_and(|rule| rule.contains("to which")), "{chosen:?}");
        }
        assert!(answer("websocket", &[listed]).is_err());
        let unlisted = answer("websocket", &[("upgrade", b"websocket")]);
        assert!(unlisted.is_err_and(|rule| rule.contains("Connection")));
        let mut map = HeaderMap::new();
        map.insert("connection", HeaderValue::from_static("upgrade"));
        map.insert("upgrade", HeaderValue::from_static("websocket"));
        let old = switched(&HeaderValue::from_static("websocket"), Version::HTTP_10, &map);
        assert!(old.is_err_and(|rule| rule.contains("HTTP/1.1")));
    }
}
