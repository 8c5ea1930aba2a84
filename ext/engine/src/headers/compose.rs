//! The fields that go up: from what the client sent to what the upstream gets.

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use super::cookies::passed;
use super::forwarding::is_forwarded_for;
use super::hop_by_hop::HopByHop;
use super::request::is_continue;
use super::{Forwarding, RequestHead};
use crate::upload::BodyKind;

/// A field that the configuration sets or, with `None`, clears.
pub type FieldOverride = (HeaderName, Option<Vec<HeaderValue>>);

/// The fields that go to the upstream (RFC 9110 section 7.6): hop-by-hop and framing fields are
/// stripped first, ours are added after, the configuration's come last.
pub(crate) fn compose(
    head: &RequestHead,
    body: BodyKind,
    forwarding: &Forwarding,
    overrides: &[FieldOverride],
) -> HeaderMap {
    let hop = HopByHop::of(head.fields.iter().map(|(name, value)| (name, value.as_bytes())));
    let overridden = |name: &HeaderName| overrides.iter().any(|(other, _)| other == name);
    let credentials = head.target.authorization();
    let mut map = HeaderMap::with_capacity(head.fields.len() + 8);
    if let (false, Some(host)) =
        (overridden(&header::HOST), forwarding.host(&head.client, &head.target))
    {
        map.append(header::HOST, host);
    }
    let mut inbound_for = Vec::new();
    for (name, value) in &head.fields {
        let expects = *name == header::EXPECT && body != BodyKind::None && is_continue(value);
        if hop.holds(name) || (is_computed(name) && !expects) {
            continue;
        }
        if is_forwarded_for(name) {
            inbound_for.push(value.clone());
        }
        let replaced = *name == header::AUTHORIZATION && credentials.is_some();
        if replaced || overridden(name) || forwarding.drops(name) {
            continue;
        }
        map.append(name.clone(), passed(name, value));
    }
    forwarding.add(&mut map, &head.client, &inbound_for);
    if head.takes_trailers() {
        map.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    if let Some(value) = credentials {
        map.insert(header::AUTHORIZATION, value.clone());
    }
    for (name, values) in overrides {
        map.remove(name);
        for value in values.iter().flatten() {
            map.append(name.clone(), value.clone());
        }
    }
    frame(&mut map, &head.method, body);
    map
}

/// Framing is computed from the body that is really sent (RFC 9112 sections 6.1 to 6.3).
fn frame(map: &mut HeaderMap, method: &Method, body: BodyKind) {
    let expects_body = [Method::POST, Method::PUT, Method::PATCH].contains(method);
    match body {
        BodyKind::Length(length) => {
            map.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        BodyKind::Chunked => {
            map.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        BodyKind::None if expects_body => {
            map.insert(header::CONTENT_LENGTH, HeaderValue::from(0));
        }
        BodyKind::None => {}
    }
}

/// Whether the upstream is to be asked before the body is sent (RFC 9110 section 10.1.1).
pub(crate) fn expects_continue(map: &HeaderMap) -> bool {
    map.get(header::EXPECT).is_some_and(is_continue)
}

/// Adds what HTTP/1 says of this hop: TE does not go further (RFC 9110 section 10.1.4), nor does
/// Upgrade (section 7.8).
pub(crate) fn on_this_hop(map: &mut HeaderMap, upgrade: Option<&HeaderValue>) {
    let connection = match (upgrade, map.contains_key(header::TE)) {
        (None, false) => return,
        (None, true) => "te",
        (Some(_), false) => "upgrade",
        (Some(_), true) => "upgrade, te",
    };
    map.insert(header::CONNECTION, HeaderValue::from_static(connection));
    if let Some(protocols) = upgrade {
        map.insert(header::UPGRADE, protocols.clone());
    }
}

/// Fields that are never copied as they are: Host and framing are ours, and an expectation goes up
/// only with a body.
fn is_computed(name: &HeaderName) -> bool {
    *name == header::HOST || *name == header::CONTENT_LENGTH || *name == header::EXPECT
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::headers::{ClientFacts, XForwarded};
    use crate::target::Target;

    fn head(method: &str, fields: &[(&str, &str)]) -> RequestHead {
        let target = Target::parse(b"http://up:81/x").expect("target");
        let client = ClientFacts {
            address: Some(HeaderValue::from_static("9.9.9.9")),
            scheme: Some(HeaderValue::from_static("https")),
            host: Some(HeaderValue::from_static("front")),
            version: "1.1".to_owned(),
            ..ClientFacts::default()
        };
        let fields = fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        RequestHead::new(method.as_bytes(), target, fields, client).expect("head")
    }

    fn sent(
        head: &RequestHead,
        forwarding: Forwarding,
        overrides: &[FieldOverride],
    ) -> Vec<String> {
        compose(head, BodyKind::None, &forwarding, overrides)
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().expect("text")))
            .collect()
    }

    #[test]
    fn hh3_strips_before_it_adds() {
        let head =
            head("GET", &[("connection", "x-forwarded-for, via"), ("x-forwarded-for", "1.1.1.1")]);
        let forwarding = Forwarding { via: true, ..Forwarding::default() };
        let expected = [
            "host: up:81",
            "x-forwarded-for: 9.9.9.9",
            "x-forwarded-proto: https",
            "x-forwarded-host: front",
            "via: 1.1 rack-streaming-proxy",
        ];
        assert_eq!(sent(&head, forwarding, &[]), expected);
    }

    #[test]
    fn fw7_counts_our_own_entries_in_via() {
        let ours = "1.1 front, 1.1 rack-streaming-proxy,1.0 rack-streaming-proxy";
        let head =
            head("GET", &[("via", ours), ("via", "1.1 rack-streaming-proxy (x), 1.1 other")]);
        assert!(head.loop_detected(3).is_none());
        assert_eq!(head.loop_detected(2).map(|failure| failure.kind), Some(Kind::Loop));
    }

    #[test]
    fn fw3_folds_and_appends_or_replaces_or_leaves_alone() {
        let fields = [
            ("x-forwarded-for", "1.1.1.1"),
            ("x-forwarded-for", "2.2.2.2"),
            ("x-forwarded-proto", "http"),
        ];
        let head = head("GET", &fields);
        let with =
            |x_forwarded| sent(&head, Forwarding { x_forwarded, ..Forwarding::default() }, &[]);
        let appended = with(XForwarded::Append);
        assert!(appended.contains(&"x-forwarded-for: 1.1.1.1, 2.2.2.2, 9.9.9.9".to_owned()));
        assert!(appended.contains(&"x-forwarded-proto: http".to_owned()));
        let replaced = with(XForwarded::Replace);
        assert!(replaced.contains(&"x-forwarded-for: 9.9.9.9".to_owned()));
        assert!(replaced.contains(&"x-forwarded-proto: https".to_owned()));
        assert_eq!(with(XForwarded::Off).len(), 4);
    }

    #[test]
    fn rq5_a_post_without_a_body_says_so() {
        let head = head("POST", &[("content-length", "7"), ("transfer-encoding", "chunked")]);
        assert_eq!(sent(&head, off(), &[]), ["host: up:81", "content-length: 0"]);
    }

    #[test]
    fn st11_te_goes_up_as_trailers_or_not_at_all() {
        let te = |value| sent(&head("GET", &[("te", value)]), off(), &[]).split_off(1);
        assert_eq!(te("trailers"), ["te: trailers"]);
        assert_eq!(te("gzip;q=0.5, Trailers"), ["te: trailers"]);
        assert_eq!(te("gzip"), [""; 0]);
        let mut map = HeaderMap::new();
        on_this_hop(&mut map, None);
        assert!(map.is_empty());
        map.insert(header::TE, HeaderValue::from_static("trailers"));
        on_this_hop(&mut map, None);
        assert_eq!(map[header::CONNECTION], "te");
    }

    #[test]
    fn ws7_an_upgrade_goes_up_only_where_a_tunnel_can_be_made() {
        let fields = [("connection", "upgrade"), ("upgrade", "websocket")];
        let mut map = compose(&head("GET", &fields), BodyKind::None, &off(), &[]);
        on_this_hop(&mut map, None);
        assert!(!map.contains_key(header::UPGRADE) && !map.contains_key(header::CONNECTION));
        on_this_hop(&mut map, Some(&HeaderValue::from_static("websocket")));
        assert_eq!(map[header::CONNECTION], "upgrade");
        assert_eq!(map[header::UPGRADE], "websocket");
        map.insert(header::TE, HeaderValue::from_static("trailers"));
        on_this_hop(&mut map, Some(&HeaderValue::from_static("websocket")));
        assert_eq!(map[header::CONNECTION], "upgrade, te");
    }

    #[test]
    fn st9_an_expectation_goes_up_with_a_body_only() {
        let expecting = |value, body| {
            let map = compose(&head("PUT", &[("expect", value)]), body, &off(), &[]);
            (map.contains_key(header::EXPECT), expects_continue(&map))
        };
        assert_eq!(expecting("100-Continue", BodyKind::Length(1)), (true, true));
        assert_eq!(expecting("100-continue", BodyKind::None), (false, false));
        assert_eq!(expecting("another", BodyKind::Chunked), (false, false));
    }

    #[test]
    fn overrides_set_and_clear() {
        let head = head("GET", &[("a", "1"), ("b", "2"), ("c", "3")]);
        let set = Some(vec![HeaderValue::from_static("x"), HeaderValue::from_static("y")]);
        let overrides = [(HeaderName::from_static("b"), set), (HeaderName::from_static("c"), None)];
        assert_eq!(sent(&head, off(), &overrides), ["host: up:81", "a: 1", "b: x", "b: y"]);
    }

    #[test]
    fn rq13_refuses_line_ends() {
        let target = Target::parse(b"http://up/").expect("target");
        let fields = [(&b"x-a"[..], &b"1\r\nx-b: 2"[..])];
        let failure = RequestHead::new(b"GET", target, fields.into_iter(), ClientFacts::default())
            .expect_err("refused");
        assert_eq!(failure.kind, Kind::RequestHead);
        assert!(failure.to_string().contains("x-a"), "{failure}");
        assert!(!failure.to_string().contains("x-b"), "{failure}");
    }

    fn off() -> Forwarding {
        Forwarding { x_forwarded: XForwarded::Off, ..Forwarding::default() }
    }
}
