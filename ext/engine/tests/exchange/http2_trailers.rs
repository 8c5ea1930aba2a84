//! Trailers of HTTP/2 upstreams, in which gRPC says how a call went.

use h2::server::Builder;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use streaming_engine::{BodyKind, Bytes, Http2, Kind, Limits, Phase, Policy};

use crate::http2_peer::{Asked, Http2Upstream};
use crate::peers::{Reader, client};

/// An upstream that answers "called" and these trailers; a policy that goes to it.
fn calling(fields: &[(&'static str, &'static str)]) -> (Http2Upstream, Policy) {
    let trailers: HeaderMap = fields
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect();
    let upstream = Http2Upstream::start(&Builder::new(), move |mut asked: Asked| {
        let trailers = trailers.clone();
        async move {
            let mut body = asked.begin();
            body.send_data(Bytes::from_static(b"called"), false).expect("sent");
            body.send_trailers(trailers).expect("sent");
        }
    });
    (upstream, Policy { http2: Http2::Always, ..Policy::default() })
}

#[test]
fn st11_cn10_trailers_of_a_stream_are_kept_for_who_asks_at_its_end() {
    let (upstream, policy) = calling(&[("grpc-status", "0"), ("authorization", "no")]);
    let client = client();
    let mut reader = Reader::open(&client, &upstream.url, BodyKind::None, policy);
    let head = reader.head().expect("a head");
    assert!(head.fields.iter().all(|(name, _)| name != "grpc-status"), "{:?}", head.fields);
    let (body, end) = reader.body();
    assert_eq!((body.as_slice(), end.is_ok()), (&b"called"[..], true));
    let trailers = reader.exchange.report().trailers;
    let shown: Vec<_> = trailers.iter().map(|(name, value)| (name.as_str(), value)).collect();
    assert_eq!(shown, [("grpc-status", &HeaderValue::from_static("0"))]);
}

#[test]
fn st11_a_response_of_trailers_alone_is_whole() {
    let upstream = Http2Upstream::start(&Builder::new(), |mut asked: Asked| async move {
        let head = Response::builder().header("grpc-status", "5").body(()).expect("a head");
        asked.respond.send_response(head, true).expect("sent");
    });
    let client = client();
    let policy = Policy { http2: Http2::Always, ..Policy::default() };
    let mut reader = Reader::open(&client, &upstream.url, BodyKind::None, policy);
    let head = reader.head().expect("a head");
    assert!(head.fields.iter().any(|(name, value)| name == "grpc-status" && value == "5"));
    assert!(reader.body().0.is_empty());
}

#[test]
fn rs3_trailers_of_a_stream_have_the_limits_of_header_lines() {
    let (upstream, policy) = calling(&[("x-one", "1"), ("x-two", "2"), ("x-three", "3")]);
    for (headers, whole) in [(3, true), (2, false)] {
        let limits = Limits { headers, ..Limits::default() };
        let client = client();
        let policy = Policy { limits, ..policy.clone() };
        let mut reader = Reader::open(&client, &upstream.url, BodyKind::None, policy);
        reader.head().expect("a head");
        match reader.body() {
            (body, Ok(())) => assert_eq!((body.as_slice(), whole), (&b"called"[..], true)),
            (_, Err(failure)) => {
                assert_eq!((failure.kind, failure.phase), (Kind::Protocol, Phase::Body));
                assert!(!whole && failure.to_string().contains("max_headers"), "{failure}");
            }
        }
    }
}
