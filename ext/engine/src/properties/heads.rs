//! Which fields pass, and what frames them.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use proptest::prelude::*;
use proptest::sample::select;

use super::{Fields, head, lines, quick};
use crate::framing::ResponseBody;
use crate::headers::{ClientFacts, Forwarding, RequestHead, XForwarded, compose, pass_on};
use crate::target::Target;
use crate::upload::BodyKind;

const END_TO_END: [&str; 7] =
    ["accept", "etag", "trailers", "x-1", "x-a", "x-b", "x-forwarded-for"];
const ENDS_HERE: [&str; 10] = [
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
];
const ALL: [&str; 17] = [
    "accept",
    "etag",
    "trailers",
    "x-1",
    "x-a",
    "x-b",
    "x-forwarded-for",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
];

/// Connection lines as clumsy senders write them, and the names on them.
fn connection() -> impl Strategy<Value = (Vec<HeaderValue>, Vec<String>)> {
    let member = (select(&ALL[..]), any::<bool>(), "[ \t]{0,2}", "[ \t]{0,2}(,[ \t]?){0,2}");
    let line = prop::collection::vec(member, 0..4);
    prop::collection::vec(line, 0..4).prop_map(|lines| {
        let names = lines.iter().flatten().map(|(name, ..)| (*name).to_owned()).collect();
        let text = |(name, upper, before, after): &(&str, bool, String, String)| {
            let name = if *upper { name.to_uppercase() } else { (*name).to_owned() };
            format!("{before}{name}{after}")
        };
        let line = |members: &Vec<_>| members.iter().map(text).collect::<Vec<_>>().join(",");
        let values = lines.iter().map(line).map(|text| HeaderValue::try_from(text).expect("text"));
        (values.collect(), names)
    })
}

/// Fields with the Connection lines somewhere among them.
fn message() -> impl Strategy<Value = (Fields, Vec<String>)> {
    (lines(&ALL, 20), connection(), any::<prop::sample::Index>()).prop_map(
        |(mut fields, (values, listed), at)| {
            let at = at.index(fields.len() + 1);
            let lines = values.into_iter().map(|value| (header::CONNECTION, value));
            fields.splice(at..at, lines);
            (fields, listed)
        },
    )
}

fn untouched() -> Forwarding {
    Forwarding { x_forwarded: XForwarded::Off, ..Forwarding::default() }
}

fn values<'a>(fields: impl Iterator<Item = (&'a HeaderName, &'a HeaderValue)>) -> Vec<String> {
    // By name, because a map of headers keeps the order only within a name.
    let mut lines: Vec<_> = fields.map(|(name, value)| (name.as_str(), value)).collect();
    lines.sort_by_key(|(name, _)| *name);
    lines.iter().map(|(name, value)| format!("{name}: {value:?}")).collect()
}

fn expected(fields: &Fields, listed: &[String]) -> Vec<String> {
    let passes = |name: &HeaderName| {
        END_TO_END.contains(&name.as_str()) && !listed.iter().any(|one| one == name.as_str())
    };
    values(fields.iter().filter(|(name, _)| passes(name)).map(|(name, value)| (name, value)))
}

proptest! {
    #![proptest_config(quick())]

    #[test]
    fn hh1_hh2_hh8_just_the_end_to_end_fields_go_up_in_their_order((fields, listed) in message()) {
        let sent = compose(
            &head("GET", &fields, ClientFacts::default()),
            BodyKind::None,
            &untouched(),
            &[],
        );
        let sent = sent.iter().filter(|(name, _)| **name != header::HOST);
        prop_assert_eq!(values(sent), expected(&fields, &listed));
    }

    #[test]
    fn hh1_hh2_hh8_just_the_end_to_end_fields_come_down_in_their_order(
        (fields, listed) in message(),
    ) {
        let mut map = HeaderMap::new();
        for (name, value) in &fields {
            map.append(name.clone(), value.clone());
        }
        let passed = pass_on(200, &map, ResponseBody::Unknown, false).fields;
        let passed = passed.iter().map(|(name, value)| (name, value));
        prop_assert_eq!(values(passed), expected(&fields, &listed));
    }

    #[test]
    fn rq1_the_framing_is_the_bodys_whatever_came(
        (fields, _) in message(),
        method in select(&["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "PURGE"][..]),
        body in prop_oneof![
            Just(BodyKind::None),
            Just(BodyKind::Chunked),
            any::<u64>().prop_map(BodyKind::Length),
        ],
        via in any::<bool>(),
    ) {
        let head = head(method, &fields, ClientFacts::default());
        let sent = compose(&head, body, &Forwarding { via, ..Forwarding::default() }, &[]);
        let lines = |name| sent.get_all(name).iter().map(|v| v.to_str().expect("ours").to_owned());
        let lengths: Vec<_> = lines(header::CONTENT_LENGTH).collect();
        let codings: Vec<_> = lines(header::TRANSFER_ENCODING).collect();
        let (length, coding) = match body {
            BodyKind::Length(length) => (Some(length.to_string()), None),
            BodyKind::Chunked => (None, Some("chunked".to_owned())),
            BodyKind::None if method.starts_with('P') && method != "PURGE" => {
                (Some("0".to_owned()), None)
            }
            BodyKind::None => (None, None),
        };
        prop_assert_eq!((lengths, codings), (Vec::from_iter(length), Vec::from_iter(coding)));
    }

    #[test]
    fn rq13_a_line_end_or_nul_is_refused_and_nothing_else_for_it(
        value in prop::collection::vec(prop_oneof![any::<u8>(), select(&b"\r\n\0 a"[..])], 0..8),
    ) {
        let target = Target::parse(b"http://up/").expect("target");
        let fields = [(&b"x-a"[..], &value[..])];
        let head = RequestHead::new(b"GET", target, fields.into_iter(), ClientFacts::default());
        let control = |byte: &u8| (*byte < b' ' && *byte != b'\t') || *byte == 0x7F;
        prop_assert_eq!(head.is_err(), value.iter().any(control));
        if let Ok(head) = head {
            let sent = compose(&head, BodyKind::None, &untouched(), &[]);
            prop_assert_eq!(sent["x-a"].as_bytes(), &value[..]);
        }
    }

    #[test]
    fn rq13_a_name_is_a_token_or_refused(
        name in prop::collection::vec(prop_oneof![any::<u8>(), select(&b"x-a:\r\n\0 "[..])], 0..8),
    ) {
        let target = Target::parse(b"http://up/").expect("target");
        let fields = [(&name[..], &b"v"[..])];
        let head = RequestHead::new(b"GET", target, fields.into_iter(), ClientFacts::default());
        let is_token = !name.is_empty()
            && name.iter().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b));
        prop_assert_eq!(head.is_ok(), is_token);
    }
}

#[test]
fn the_lists_of_names_agree() {
    assert_eq!([&END_TO_END[..], &ENDS_HERE[..]].concat(), ALL);
}
