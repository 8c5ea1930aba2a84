//! What goes up: early answers, retries, short bodies.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use streaming_engine::{
    Attempt, BodyEvent, BodyKind, Bytes, ClientFacts, HeadEvent, Kind, Policy, PoolSettings,
    RequestHead, Retry, Signal, Target, Written,
};

use crate::peers::{PATIENCE, Reader, client, read_head, upstream};

#[test]
fn rt4_a_body_past_what_is_kept_is_asked_for_again() {
    let body = 200 * 1024;
    let (url, thread) = upstream(2, move |number, stream| {
        assert!(read_head(stream).contains("content-length: 204800\r\n"));
        let mut whole = vec![0; body];
        stream.read_exact(&mut whole).expect("the whole body");
        assert!(whole.iter().all(|byte| *byte == b'x'));
        let status = if number == 0 { "503 Later" } else { "200 OK" };
        let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(head.as_bytes()).expect("sent");
    });
    let client = client();
    let retry = Retry { on_5xx: 1, delay: Duration::ZERO };
    let policy = Policy { retry, ..Policy::default() };
    let mut reader = Reader::open(&client, &url, BodyKind::Length(body as u64), policy);
    let (mut left, mut rewinds) = (body, 0);
    let head = loop {
        match reader.exchange.head().expect("no failure") {
            HeadEvent::Head(head) => break head,
            HeadEvent::Rewind => (left, rewinds) = (body, rewinds + 1),
            HeadEvent::Again if left > 0 && reader.exchange.writable() == Written::Taken => {
                let len = left.min(64 * 1024);
                reader.exchange.write(Bytes::from(vec![b'x'; len]));
                left -= len;
            }
            HeadEvent::Again => reader.wait(),
            other => panic!("nobody asked for {other:?}"),
        }
    };
    assert_eq!((head.status, rewinds), (200, 1));
    assert_eq!(reader.exchange.report().attempts.len(), 2);
    thread.join().expect("the upstream ends well");
}

#[test]
fn rq6_a_short_upload_never_reaches_the_upstream_as_complete() {
    let (url, thread) = upstream(1, |_, stream| {
        let mut sent = Vec::new();
        // A FIN or a reset: both tell the upstream that it has not got the whole.
        let _ = stream.read_to_end(&mut sent);
        let sent = String::from_utf8(sent).expect("text");
        let body = sent.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        assert!(body.len() < 10, "{body:?}");
    });
    let client = client();
    let mut reader = Reader::open(&client, &url, BodyKind::Length(10), Policy::default());
    assert_eq!(reader.exchange.write(Bytes::from_static(b"abc")), Written::Taken);
    reader.exchange.finish();
    let failure = reader.head().expect_err("short");
    assert_eq!(failure.kind, Kind::RequestBody);
    assert!(failure.to_string().contains("7 bytes short"), "{failure}");
    thread.join().expect("the upstream ends well");
}

#[test]
fn st2_a_reset_hidden_by_a_failed_write_is_no_end() {
    let (url, thread) = upstream(1, |_, stream| {
        read_head(stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\npart").expect("sent");
        stream.read_exact(&mut [0; 1000]).expect("some of the body");
        // Closed with unread bytes: a reset, of which a write will hear first.
    });
    let client = client();
    let mut reader = Reader::open(&client, &url, BodyKind::Chunked, Policy::default());
    let mut writing = true;
    let outcome = loop {
        writing = writing && reader.exchange.write(Bytes::from(vec![b'x'; 4096])) == Written::Taken;
        match reader.exchange.head() {
            Ok(HeadEvent::Head(_)) => break Ok(()),
            Ok(HeadEvent::Again) if !writing => reader.wait(),
            Ok(_) => {}
            Err(failure) => break Err(failure),
        }
    };
    let outcome = outcome.and_then(|()| {
        loop {
            let _ = reader.exchange.write(Bytes::from(vec![b'x'; 4096]));
            match reader.exchange.read(64 * 1024) {
                Ok(BodyEvent::End) => break Ok(()),
                Ok(_) => thread::yield_now(),
                Err(failure) => break Err(failure),
            }
        }
    });
    assert_eq!(outcome.expect_err("cut").kind, Kind::Protocol);
    thread.join().expect("the upstream ends well");
}

#[test]
fn st6_an_upstream_that_reads_no_more_does_not_hold_up_the_end() {
    let (sender, done) = channel::<()>();
    let (url, thread) = upstream(50, move |_, stream| {
        read_head(stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").expect("sent");
        let _ = done.recv_timeout(PATIENCE);
    });
    let client = client();
    // More than the socket's buffers take, so that its tail stays in hyper's.
    for length in (3000..4600).step_by(32).map(|kib| kib * 1024) {
        let pool = PoolSettings { max_idle: 0, ..PoolSettings::default() };
        let policy = Policy { pool, ..Policy::default() };
        let mut reader = Reader::open(&client, &url, BodyKind::Length(length), policy);
        let mut left = length;
        let head = loop {
            match reader.exchange.head().expect("no failure") {
                HeadEvent::Head(head) => break head,
                _ if left > 0 && reader.exchange.writable() == Written::Taken => {
                    let len = left.min(64 * 1024);
                    reader.exchange.write(Bytes::from(vec![b'x'; len as usize]));
                    left -= len;
                }
                _ => reader.wait(),
            }
        };
        assert_eq!(head.status, 200);
        let (body, outcome) = reader.body();
        assert_eq!((&body[..], outcome.is_ok()), (&b"ok"[..], true));
        drop(reader);
        sender.send(()).expect("told");
    }
    thread.join().expect("the upstream ends well");
}

#[test]
fn rt4_a_5xx_before_the_uploads_end_is_tried_again_with_what_was_kept() {
    let (url, thread) = upstream(2, |number, stream| {
        read_head(stream);
        if number == 0 {
            stream.write_all(b"HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n").expect("sent");
            let _ = stream.read(&mut [0; 1024]);
        } else {
            let mut body = vec![0; 100_000];
            stream.read_exact(&mut body).expect("the whole body");
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").expect("sent");
        }
    });
    let client = client();
    let retry = Retry { on_5xx: 1, delay: Duration::from_millis(50) };
    let policy = Policy { retry, ..Policy::default() };
    let target = Target::parse(url.as_bytes()).expect("a URL");
    let facts = ClientFacts { version: "1.1".to_owned(), ..ClientFacts::default() };
    let head = RequestHead::new(b"POST", target, std::iter::empty(), facts).expect("a head");
    let (sender, rung) = channel();
    let signal = Signal::new(move || {
        let _ = sender.send(());
    });
    let body = BodyKind::Length(100_000);
    // Not rewindable: the writer goes on where it is, and what went before is replayed.
    let exchange = client.open(head, body, false, Arc::new(policy), signal);
    let mut reader = Reader { exchange, rung };
    reader.exchange.write(Bytes::from(vec![b'a'; 1000]));
    let answered = |attempt: &Attempt| attempt.status.is_some();
    while !reader.exchange.report().attempts.iter().any(answered) {
        assert!(matches!(reader.exchange.head(), Ok(HeadEvent::Again)), "no head yet");
        thread::sleep(Duration::from_millis(1));
    }
    for _ in 0..99 {
        assert_eq!(reader.exchange.write(Bytes::from(vec![b'b'; 1000])), Written::Taken);
    }
    assert_eq!(reader.head().expect("a head").status, 200);
    thread.join().expect("the upstream ends well");
}
