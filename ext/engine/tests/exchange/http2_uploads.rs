//! Uploads to HTTP/2 upstreams: flow control, early answers, what is missing (RFC 9113).

use std::sync::mpsc::channel;

use h2::Reason;
use h2::server::Builder;
use http::Response;
use streaming_engine::{BodyKind, Bytes, Kind, Written};

use crate::http2_peer::{Asked, Http2Upstream, get, policy};
use crate::peers::{PATIENCE, Reader, client};

#[test]
fn st6_an_early_answer_stops_the_upload_and_the_connection_lives_on() {
    let (reset, was_reset) = channel();
    let upstream = Http2Upstream::start(&Builder::new(), move |mut asked: Asked| {
        let reset = reset.clone();
        async move {
            if asked.request.method() == "PUT" {
                let response = Response::builder().status(413).body(()).expect("a response");
                let mut stream = asked.respond.send_response(response, false).expect("sent");
                stream.send_data(Bytes::from_static(b"too much"), true).expect("sent");
                let ended = asked.body().await;
                let _ = reset.send(ended.err().and_then(|err| err.reason()));
            } else {
                asked.answer("fine");
            }
        }
    });
    let client = client();
    let mut reader = Reader::open(&client, &upstream.url, BodyKind::Length(1 << 20), policy());
    reader.exchange.write(Bytes::from(vec![b'x'; 1000]));
    assert_eq!(reader.head().expect("a head").status, 413);
    assert_eq!(reader.body().0, b"too much");
    assert_eq!(reader.exchange.writable(), Written::Stopped);
    assert_eq!(was_reset.recv_timeout(PATIENCE).expect("an end"), Some(Reason::CANCEL));
    let mut reader = get(&client, &upstream.url);
    assert_eq!(reader.head().expect("a head").status, 200);
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn rq6_a_short_upload_resets_its_stream() {
    let (ended, has_ended) = channel();
    let upstream = Http2Upstream::start(&Builder::new(), move |mut asked: Asked| {
        let ended = ended.clone();
        async move {
            let _ = ended.send(asked.body().await.map_err(|err| err.reason()));
        }
    });
    let client = client();
    let mut reader = Reader::open(&client, &upstream.url, BodyKind::Length(10), policy());
    reader.exchange.write(Bytes::from_static(b"123"));
    reader.exchange.finish();
    assert_eq!(reader.head().expect_err("a failure").kind, Kind::RequestBody);
    let ended = has_ended.recv_timeout(PATIENCE).expect("an end");
    assert_eq!(ended, Err(Some(Reason::CANCEL)));
}

#[test]
fn cn10_a_large_upload_respects_flow_control_and_arrives_whole() {
    let upstream = Http2Upstream::start(&Builder::new(), |mut asked: Asked| async move {
        let body = asked.body().await.expect("a body");
        assert!(body.iter().enumerate().all(|(index, byte)| *byte == (index / 65536) as u8));
        asked.answer(body.len().to_string());
    });
    let client = client();
    let whole = 64 * 65536_u64;
    let mut reader = Reader::open(&client, &upstream.url, BodyKind::Length(whole), policy());
    let mut piece = 0_u8;
    while u64::from(piece) < whole / 65536 {
        match reader.exchange.writable() {
            Written::Taken => {
                reader.exchange.write(Bytes::from(vec![piece; 65536]));
                piece += 1;
            }
            Written::Again => reader.wait(),
            Written::Stopped => panic!("the upload was stopped"),
        }
    }
    reader.exchange.finish();
    assert_eq!(reader.head().expect("a head").status, 200);
    assert_eq!(reader.body().0, whole.to_string().as_bytes());
}
