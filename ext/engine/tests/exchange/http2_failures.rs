//! HTTP/2 upstreams that fail, leave or are none, and what is tried again (RFC 9113).

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use h2::Reason;
use h2::server::Builder;
use http::Response;
use streaming_engine::{BodyKind, Bytes, Kind, Phase, Policy, Timeouts};

use crate::http2_peer::{Asked, Http2Upstream, get, policy, waits};
use crate::peers::{Reader, client, read_head, upstream};

#[test]
fn cn10_a_reset_stream_is_a_failure_and_the_connection_lives_on() {
    let upstream = Http2Upstream::start(&Builder::new(), |mut asked: Asked| async move {
        match asked.request.uri().path() {
            "/head" => asked.respond.send_reset(Reason::INTERNAL_ERROR),
            "/body" => {
                let mut stream = asked.begin();
                stream.send_data(Bytes::from_static(b"came"), false).expect("sent");
                tokio::time::sleep(Duration::from_millis(20)).await;
                stream.send_reset(Reason::INTERNAL_ERROR);
            }
            _ => asked.answer("fine"),
        }
    });
    let client = client();
    let mut reader = get(&client, &upstream.url);
    assert_eq!(reader.head().expect("a head").status, 200);
    let mut reader = get(&client, &format!("{}head", upstream.url));
    let failure = reader.head().expect_err("a failure");
    assert_eq!((failure.kind, failure.phase), (Kind::Protocol, Phase::Head));
    assert_eq!(reader.exchange.report().attempts.len(), 1, "it may have been processed");
    assert!(
        failure.to_string().contains("reset the HTTP/2 stream before it answered"),
        "{failure}"
    );
    assert!(failure.to_string().contains("INTERNAL_ERROR"), "{failure}");
    let mut reader = get(&client, &format!("{}body", upstream.url));
    reader.head().expect("a head");
    let (body, outcome) = reader.body();
    let failure = outcome.expect_err("a failure");
    assert_eq!((failure.kind, failure.phase), (Kind::Protocol, Phase::Body));
    assert_eq!(body, b"came");
    let mut reader = get(&client, &upstream.url);
    assert_eq!(reader.head().expect("a head").status, 200);
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn cn3_a_refused_stream_is_tried_again_whatever_it_asks_for() {
    let refused = Arc::new(AtomicUsize::new(0));
    let counter = refused.clone();
    let upstream = Http2Upstream::start(&Builder::new(), move |mut asked: Asked| {
        let refused = counter.clone();
        async move {
            if refused.fetch_add(1, Ordering::SeqCst) == 0 {
                asked.respond.send_reset(Reason::REFUSED_STREAM);
            } else {
                let body = asked.body().await.expect("a body");
                asked.answer(body);
            }
        }
    });
    let client = client();
    let mut reader = Reader::open_as(&client, "POST", &upstream.url, BodyKind::Length(5), policy());
    reader.exchange.write(Bytes::from_static(b"12345"));
    reader.exchange.finish();
    assert_eq!(reader.head().expect("a head").status, 200);
    assert_eq!(reader.body().0, b"12345");
    assert_eq!(refused.load(Ordering::SeqCst), 2);
}

#[test]
fn cn3_after_goaway_requests_go_on_a_new_connection() {
    let script = |asked: Asked| async move {
        let connection = asked.connection;
        asked.answer(format!("connection {connection}"));
    };
    let upstream = Http2Upstream::start_with(&Builder::new(), script, |request| {
        request.uri().path() == "/last"
    });
    let client = client();
    for expected in ["connection 0", "connection 1"] {
        let mut reader = get(&client, &format!("{}last", upstream.url));
        reader.head().expect("a head");
        assert_eq!(String::from_utf8_lossy(&reader.body().0), expected);
    }
    waits(|| client.stats().connections <= 1);
}

#[test]
fn cn3_a_connection_that_died_is_replaced_for_what_may_be_repeated() {
    let script = |asked: Asked| async move {
        let connection = asked.connection;
        asked.answer(format!("connection {connection}"));
    };
    let upstream = Http2Upstream::start(&Builder::new(), script);
    let client = client();
    let mut reader = get(&client, &upstream.url);
    reader.head().expect("a head");
    assert_eq!(reader.body().0, b"connection 0");
    upstream.break_off_under_the_next_request();
    let mut reader = get(&client, &upstream.url);
    reader.head().expect("a head");
    assert_eq!(reader.body().0, b"connection 1");
    assert_eq!(reader.exchange.report().attempts.len(), 2);
    upstream.break_off_under_the_next_request();
    let mut reader = Reader::open_as(&client, "POST", &upstream.url, BodyKind::None, policy());
    let failure = reader.head().expect_err("a failure");
    assert_eq!((failure.kind, failure.phase), (Kind::Protocol, Phase::Head));
    assert!(failure.to_string().contains("closed the connection before it answered"), "{failure}");
}

#[test]
fn cn10_a_length_that_is_not_kept_is_a_failure() {
    let upstream = Http2Upstream::start(&Builder::new(), |mut asked: Asked| async move {
        let response = Response::builder().header("content-length", 10).body(());
        let response = response.expect("a response");
        let mut stream = asked.respond.send_response(response, false).expect("sent");
        stream.send_data(Bytes::from_static(b"short"), true).expect("sent");
    });
    let client = client();
    let mut reader = get(&client, &upstream.url);
    reader.head().expect("a head");
    let failure = reader.body().1.expect_err("a failure");
    assert_eq!((failure.kind, failure.phase), (Kind::Protocol, Phase::Body));
}

#[test]
fn cn10_an_http1_upstream_is_told_apart() {
    let (url, thread) = upstream(1, |_, stream| {
        assert_eq!(read_head(stream), "PRI * HTTP/2.0\r\n\r\n");
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    });
    let client = client();
    let failure = get(&client, &url).head().expect_err("a failure");
    assert_eq!((failure.kind, failure.phase), (Kind::Protocol, Phase::Connect));
    assert!(failure.to_string().contains("does not speak HTTP/2"), "{failure}");
    thread.join().expect("the upstream ends well");
}

#[test]
fn to1_an_upstream_that_never_sends_settings_is_late() {
    let barrier = Arc::new(Barrier::new(2));
    let release = barrier.clone();
    let (url, thread) = upstream(1, move |_, _| {
        barrier.wait();
    });
    let client = client();
    let connect = Some(Duration::from_millis(100));
    let timeouts = Timeouts { connect, ..Timeouts::default() };
    let policy = Policy { timeouts, ..policy() };
    // All that wait for the connection hear of it.
    let open = |_| Reader::open(&client, &url, BodyKind::None, policy.clone());
    for mut reader in (0..3).map(open).collect::<Vec<_>>() {
        let failure = reader.head().expect_err("a failure");
        assert_eq!((failure.kind, failure.phase), (Kind::Timeout, Phase::Connect));
    }
    release.wait();
    thread.join().expect("the upstream ends well");
    waits(|| client.stats().connections == 0);
}
