//! What precedes and follows a response over HTTP/2: 1xx and trailers.

use h2::server::Builder;
use http::{HeaderMap, HeaderValue, Response};
use streaming_engine::{BodyKind, Bytes, HeadEvent, Http2, Kind, Limits, Policy, Written};

use crate::http2_peer::{Asked, Http2Upstream};
use crate::peers::{Reader, client};

fn policy() -> Policy {
    Policy { http2: Http2::Always, ..Policy::default() }
}

fn interim(status: u16) -> Response<()> {
    let response = Response::builder().status(status).header("link", "</a>");
    response.body(()).expect("a response")
}

#[test]
fn st10_early_hints_are_told_and_others_are_not() {
    let upstream = Http2Upstream::start(&Builder::new(), |mut asked: Asked| async move {
        for status in [102, 103, 103] {
            asked.respond.send_informational(interim(status)).expect("sent");
        }
        asked.answer("hello");
    });
    let client = client();
    let mut reader = Reader::hinted(&client, &upstream.url, policy());
    let mut hints = 0;
    let head = loop {
        match reader.exchange.head().expect("no failure") {
            HeadEvent::Head(head) => break head,
            HeadEvent::EarlyHints(fields) => {
                assert_eq!(fields.len(), 1);
                hints += 1;
            }
            HeadEvent::Again => reader.wait(),
            other => panic!("nobody asked for {other:?}"),
        }
    };
    assert_eq!((hints, head.status), (2, 200));
    assert_eq!(reader.body().0, b"hello");
}

#[test]
fn st9_the_body_goes_up_when_the_upstream_asks_for_it() {
    let upstream = Http2Upstream::start(&Builder::new(), |mut asked: Asked| async move {
        assert_eq!(asked.request.headers()["expect"], "100-continue");
        asked.respond.send_informational(interim(100)).expect("sent");
        let body = asked.body().await.expect("a body");
        asked.answer(body);
    });
    let client = client();
    let mut reader = Reader::expecting(&client, &upstream.url, BodyKind::Length(4), policy());
    let head = loop {
        match reader.exchange.head().expect("no failure") {
            HeadEvent::Head(head) => break head,
            HeadEvent::Continue => {
                assert_eq!(reader.exchange.write(Bytes::from_static(b"body")), Written::Taken);
                reader.exchange.finish();
            }
            HeadEvent::Again => reader.wait(),
            other => panic!("nobody asked for {other:?}"),
        }
    };
    assert_eq!(head.status, 200);
    assert_eq!(reader.body().0, b"body");
    let report = reader.exchange.report();
    // A second is what an upstream that does not ask is given.
    assert!(report.attempts[0].head().as_millis() < 900, "{report:?}");
}

#[test]
fn rs3_too_many_interim_responses_are_a_failure() {
    let upstream = Http2Upstream::start(&Builder::new(), |mut asked: Asked| async move {
        while asked.respond.send_informational(interim(102)).is_ok() {
            tokio::task::yield_now().await;
        }
    });
    let client = client();
    let limits = Limits { interim_responses: 2, ..Limits::default() };
    let mut reader =
        Reader::open(&client, &upstream.url, BodyKind::None, Policy { limits, ..policy() });
    let failure = reader.head().expect_err("too many");
    assert_eq!(failure.kind, Kind::Protocol);
    assert!(failure.to_string().ends_with("2 are allowed (max_interim_responses)"), "{failure}");
}

#[test]
fn st11_trailers_such_as_grpc_has_are_kept_for_the_end() {
    let upstream = Http2Upstream::start(&Builder::new(), |mut asked: Asked| async move {
        let mut stream = asked.begin();
        stream.send_data(Bytes::from_static(b"message"), false).expect("sent");
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        trailers.insert("content-length", HeaderValue::from_static("9"));
        stream.send_trailers(trailers).expect("sent");
    });
    let client = client();
    let mut reader = Reader::open(&client, &upstream.url, BodyKind::None, policy());
    reader.head().expect("a head");
    let (body, outcome) = reader.body();
    outcome.expect("whole");
    assert_eq!(body, b"message");
    let trailers = reader.exchange.trailers();
    let names: Vec<_> = trailers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["grpc-status"]);
}
