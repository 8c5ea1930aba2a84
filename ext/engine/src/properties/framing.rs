//! The reading of a response's length fields, beside a model that is too simple to be wrong.

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, Version};
use proptest::prelude::*;
use proptest::sample::select;

use super::quick;
use crate::framing::{ResponseBody, read};

const LENGTHS: [&str; 16] = [
    "3",
    "3",
    "03",
    "3, 3",
    "3,3,3",
    "3, 4",
    "4",
    "0",
    "",
    "3,",
    "+3",
    "-1",
    "0x3",
    "3 3",
    "9223372036854775807",
    "9223372036854775808",
];
const CODINGS: [&str; 10] = [
    "chunked",
    "chunked",
    "Chunked",
    "CHUNKED",
    "gzip, chunked",
    "chunked, gzip",
    "identity",
    "chunked, chunked",
    "chunked;q=1",
    "",
];
const STATUSES: [u16; 9] = [101, 200, 200, 204, 205, 206, 304, 404, 999];

fn fields() -> impl Strategy<Value = (Vec<&'static str>, Vec<&'static str>)> {
    let lines = |from: &'static [&'static str]| prop::collection::vec(select(from), 0..3);
    (lines(&LENGTHS), lines(&CODINGS))
}

fn map(lengths: &[&'static str], codings: &[&'static str]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for value in lengths {
        map.append(CONTENT_LENGTH, HeaderValue::from_static(value));
    }
    for value in codings {
        map.append(TRANSFER_ENCODING, HeaderValue::from_static(value));
    }
    map
}

/// What the lines announce: nothing (`Some(None)`), one number below 2^63, or something else.
fn announced(lengths: &[&str]) -> Option<Option<u64>> {
    let all: Vec<_> = lengths.iter().flat_map(|line| line.split(',')).map(str::trim).collect();
    let Some(first) = all.first() else { return Some(None) };
    let digits = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    let same = |text: &str| text.trim_start_matches('0') == first.trim_start_matches('0');
    let one = all.iter().all(|text| digits(text) && same(text));
    let number = first.parse().ok().filter(|number| *number < 1 << 63);
    if one { number.map(Some) } else { None }
}

proptest! {
    #![proptest_config(quick())]

    #[test]
    fn rs1_length_fields_are_read_in_the_only_way_or_refused(
        (lengths, codings) in fields(),
        status in select(&STATUSES[..]),
        version in select(&[Version::HTTP_10, Version::HTTP_11][..]),
        head in any::<bool>(),
    ) {
        let method = if head { Method::HEAD } else { Method::GET };
        let chunked = codings.len() == 1
            && codings[0].eq_ignore_ascii_case("chunked")
            && version == Version::HTTP_11;
        let length = announced(&lengths);
        let sound = status != 101 && (codings.is_empty() || chunked) && length.is_some();
        let reading = read(&method, status, version, &map(&lengths, &codings));
        prop_assert_eq!(reading.is_ok(), sound);
        let (Ok(reading), Some(length)) = (reading, length) else { return Ok(()) };
        let bodyless = head || [204, 205, 304].contains(&status);
        prop_assert_eq!(reading.body.follows(), !bodyless);
        match reading.body {
            ResponseBody::Length(read) => prop_assert_eq!((Some(read), chunked), (length, false)),
            ResponseBody::Unknown => prop_assert!(chunked || length.is_none()),
            ResponseBody::None { announced } => {
                prop_assert!(announced.is_none() || announced == length || status == 205);
            }
        }
        prop_assert!(!(reading.reusable && chunked && length.is_some()));
    }
}
