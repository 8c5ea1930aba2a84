//! The response validator: a head as hyper would read it, through framing and hop-by-hop. What is
//! passed on has one length, read again here in the simplest way, and nothing of its own hop.
//!
//! The first byte chooses the request's method; the rest is the head.

#![no_main]

use http::header::{CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, Method, Version};
use libfuzzer_sys::fuzz_target;
use streaming_engine::ResponseHead;
use streaming_engine::fuzzing::response;

const OF_ONE_HOP: [&str; 8] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

fuzz_target!(|data: &[u8]| {
    let Some((first, text)) = data.split_first() else { return };
    let method = if first % 2 == 0 { Method::GET } else { Method::HEAD };
    let Some((status, version, fields)) = parse(text) else { return };
    let Ok((head, reusable)) = response(&method, status, version, &fields) else { return };
    check_fields(&head);
    check_length(&method, &head, version, &fields, reusable);
});

fn parse(text: &[u8]) -> Option<(u16, Version, HeaderMap)> {
    let mut lines = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Response::new(&mut lines);
    if !parsed.parse(text).ok()?.is_complete() {
        return None;
    }
    let version = if parsed.version? == 0 { Version::HTTP_10 } else { Version::HTTP_11 };
    let mut fields = HeaderMap::new();
    for line in parsed.headers.iter() {
        let name = HeaderName::from_bytes(line.name.as_bytes()).ok()?;
        fields.append(name, HeaderValue::from_bytes(line.value).ok()?);
    }
    Some((parsed.code?, version, fields))
}

fn check_fields(head: &ResponseHead) {
    for (name, value) in &head.fields {
        assert!(!OF_ONE_HOP.contains(&name.as_str()), "{name}");
        assert!(!value.as_bytes().iter().any(|byte| b"\r\n\0".contains(byte)), "{value:?}");
    }
}

fn check_length(
    method: &Method,
    head: &ResponseHead,
    version: Version,
    fields: &HeaderMap,
    reusable: bool,
) {
    let coding = joined(fields, TRANSFER_ENCODING);
    let chunked = coding.as_deref().is_some_and(|text| text.eq_ignore_ascii_case("chunked"));
    assert!(coding.is_none() || (chunked && version == Version::HTTP_11), "{coding:?} passed");
    let lengths = joined(fields, CONTENT_LENGTH);
    let number = lengths.as_deref().map(|text| only_number(text).expect("one length, or refused"));
    assert!(!(reusable && chunked && lengths.is_some()), "both fields, and used again");

    let bodyless = *method == Method::HEAD || [204, 205, 304].contains(&head.status);
    assert_eq!(head.body, !bodyless);
    if head.body {
        assert_eq!(head.length, if chunked { None } else { number });
    }
}

fn joined(fields: &HeaderMap, name: HeaderName) -> Option<String> {
    let lines = fields.get_all(name).iter().map(|line| String::from_utf8_lossy(line.as_bytes()));
    lines.map(String::from).reduce(|all, line| all + "," + &line)
}

fn only_number(text: &str) -> Option<u64> {
    let mut numbers = text.split(',').map(|one| one.trim_matches([' ', '\t']));
    let digits = |one: &str| one.bytes().all(|byte| byte.is_ascii_digit());
    let first: u64 = numbers.clone().next()?.parse().ok()?;
    numbers.all(|one| digits(one) && one.parse() == Ok(first)).then_some(first)
}
