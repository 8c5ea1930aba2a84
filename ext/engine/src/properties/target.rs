//! URLs: what is taken has one reading, and no other parser is needed to see it.

use proptest::prelude::*;

use super::quick;
use crate::target::Target;

/// Bytes, many of which mean something in a URL.
fn tail() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        3 => prop::sample::select(&b"/?#@:[].%\\;&=`<>\"{}|^ \t\r\n"[..]),
        4 => prop::sample::select(&b"aZ019-_~"[..]),
        1 => any::<u8>(),
    ];
    prop::collection::vec(byte, 0..24)
}

fn url() -> impl Strategy<Value = Vec<u8>> {
    let authority = "(h|127\\.1|\\[::1\\]|[\\[\\]@:h]{1,4})?";
    ("(?i-u)(http|https)://", authority, "[/?#]?", tail())
        .prop_map(|(scheme, host, end, tail)| [(scheme + &host + &end).into(), tail].concat())
}

/// Holds for every URL that was taken.
fn check(target: &Target) -> Result<(), TestCaseError> {
    let (host, authority, path) = (target.host(), target.authority(), target.path().as_str());
    prop_assert!(!host.is_empty() && target.port() > 0);
    let ours = |byte: u8| byte.is_ascii_graphic() && !b"/?#@\\".contains(&byte);
    prop_assert!(authority.bytes().all(ours), "{}", authority);
    prop_assert!(path.starts_with('/'));
    prop_assert!(path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#'), "{}", path);
    let bare = authority.trim_start_matches('[');
    prop_assert!(bare.starts_with(host), "{} in {}", host, authority);

    let again = Target::parse(target.to_string().as_bytes());
    prop_assert_eq!(again.map(|again| again.origin()), Ok(target.origin()));
    let scheme = if target.is_tls() { "https" } else { "http" };
    let again = Target::parse(format!("{scheme}://{authority}{path}").as_bytes());
    let read = |target: &Target| {
        (target.origin(), target.authority().to_owned(), target.path().to_string())
    };
    prop_assert_eq!(again.as_ref().map(read), Ok(read(target)));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, ..quick() })]

    #[test]
    fn ss1_a_url_has_one_reading_or_none(url in url()) {
        if let Ok(target) = Target::parse(&url) {
            check(&target)?;
        }
    }

    #[test]
    fn ss1_no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(target) = Target::parse(&bytes) {
            check(&target)?;
        }
    }

    #[test]
    fn rq8_rq11_what_may_stand_in_a_target_passes_unchanged(
        path in "/[!$%-;=@-Z\\[-_a-z{-~]{0,24}",
        query in "(\\?[!$%-;=?@-Z\\[-_a-z{-~]{0,24})?",
    ) {
        let target = Target::parse(format!("http://h{path}{query}").as_bytes());
        let target = target.map(|target| target.path().to_string());
        prop_assert_eq!(target, Ok(format!("{path}{query}")));
    }

    #[test]
    fn rq12_what_may_not_is_percent_encoded_and_nothing_else(
        path in prop::collection::vec(
            prop_oneof![b'!'..=b'~', 0x80..=0xFF_u8].prop_filter("ends it", |b| !b"?#".contains(b)),
            0..16,
        ),
    ) {
        let target = Target::parse(&[b"http://h/", &path[..]].concat()).expect("taken");
        let encoded: String = path
            .iter()
            .map(|byte| match byte {
                b'<' | b'>' | b'`' | 0x80.. => format!("%{byte:02X}"),
                _ => char::from(*byte).to_string(),
            })
            .collect();
        prop_assert_eq!(target.path().as_str(), format!("/{encoded}"));
    }
}
