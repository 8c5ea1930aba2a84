//! What precedes the final response.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use streaming_engine::{BodyKind, Bytes, HeadEvent, Kind, Limits, Policy, Written};

use crate::peers::{PATIENCE, Reader, client, read_head, upstream};

const HINTS: &[u8] = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
const FINAL: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

#[test]
fn st10_a_reader_that_has_no_use_for_it_hears_of_nothing() {
    let (url, thread) = upstream(1, |_, stream| {
        read_head(stream);
        for part in [CONTINUE, HINTS, b"HTTP/1.1 102 Processing\r\n\r\n", HINTS, FINAL] {
            stream.write_all(part).expect("sent");
        }
    });
    let client = client();
    let mut reader = Reader::open(&client, &url, BodyKind::None, Policy::default());
    // Panics at anything but the head.
    assert_eq!(reader.head().expect("a head").status, 204);
    thread.join().expect("the upstream ends well");
}

#[test]
fn st9_a_reader_that_waits_is_told_once_that_the_body_is_wanted() {
    let (url, thread) = upstream(1, |_, stream| {
        assert!(read_head(stream).contains("expect: 100-continue\r\n"));
        stream.write_all(&CONTINUE.repeat(3)).expect("sent");
        stream.read_exact(&mut [0; 4]).expect("the body");
        stream.write_all(FINAL).expect("sent");
    });
    let client = client();
    let mut reader = Reader::expecting(&client, &url, BodyKind::Length(4), Policy::default());
    let (mut asked, mut status) = (0, 0);
    while status == 0 {
        match reader.exchange.head().expect("no failure") {
            HeadEvent::Head(head) => status = head.status,
            HeadEvent::Continue => {
                asked += 1;
                assert_eq!(reader.exchange.write(Bytes::from_static(b"body")), Written::Taken);
            }
            HeadEvent::Again => reader.wait(),
            other => panic!("nobody asked for {other:?}"),
        }
    }
    assert_eq!((asked, status), (1, 204));
    thread.join().expect("the upstream ends well");
}

#[test]
fn rs3_a_flood_of_interim_responses_ends_at_once() {
    let (url, thread) = upstream(1, |_, stream| {
        read_head(stream);
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        // The connection is shut down, though there is no end of this.
        while stream.write_all(&CONTINUE.repeat(1000)).is_ok() {}
    });
    let client = client();
    let limits = Limits { interim_responses: 2, ..Limits::default() };
    let policy = Policy { limits, ..Policy::default() };
    let started = Instant::now();
    let mut reader = Reader::open(&client, &url, BodyKind::None, policy);
    let failure = reader.head().expect_err("too many");
    assert_eq!(failure.kind, Kind::Protocol);
    assert!(failure.to_string().ends_with("2 are allowed (max_interim_responses)"), "{failure}");
    thread.join().expect("the upstream ends well");
    assert!(started.elapsed() < Duration::from_secs(5));
}
