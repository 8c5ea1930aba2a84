//! What comes down, and the clocks.

use std::io::{ErrorKind, Read, Write};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use streaming_engine::{BodyKind, Kind, Phase, Policy, Timeouts};

use crate::peers::{PATIENCE, Reader, client, read_head, upstream};

#[test]
fn a_connection_serves_one_exchange_after_another() {
    let (url, thread) = upstream(1, |_, stream| {
        for _ in 0..2 {
            read_head(stream);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").expect("sent");
        }
    });
    let client = client();
    for _ in 0..2 {
        let mut reader = Reader::open(&client, &url, BodyKind::None, Policy::default());
        assert_eq!(reader.head().expect("a head").length, Some(5));
        let (body, outcome) = reader.body();
        assert_eq!((&body[..], outcome.is_ok()), (&b"hello"[..], true));
    }
    // The upstream accepts no second connection.
    thread.join().expect("the upstream ends well");
}

#[test]
fn an_exchange_whose_end_is_known_is_counted_no_more() {
    let (url, thread) = upstream(1, |_, stream| {
        for _ in 0..200 {
            read_head(stream);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").expect("sent");
        }
    });
    let client = client();
    for _ in 0..200 {
        let mut reader = Reader::open(&client, &url, BodyKind::None, Policy::default());
        reader.head().expect("a head");
        reader.body().1.expect("whole");
        assert_eq!(client.stats().exchanges, 0);
    }
    thread.join().expect("the upstream ends well");
}

#[test]
fn st2_a_body_cut_short_is_a_failure_after_its_bytes() {
    let (url, thread) = upstream(1, |_, stream| {
        read_head(stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel").expect("sent");
    });
    let client = client();
    let mut reader = Reader::open(&client, &url, BodyKind::None, Policy::default());
    reader.head().expect("a head");
    let (body, outcome) = reader.body();
    let failure = outcome.expect_err("cut");
    assert_eq!(
        (&body[..], failure.kind, failure.phase),
        (&b"hel"[..], Kind::Protocol, Phase::Body)
    );
    thread.join().expect("the upstream ends well");
}

#[test]
fn st4_closing_an_exchange_ends_its_connection_at_once() {
    let (sender, gone) = channel();
    let (url, thread) = upstream(1, move |_, stream| {
        read_head(stream);
        sender.send(Instant::now()).expect("told");
        assert_eq!(stream.read(&mut [0]).expect("a FIN"), 0);
        sender.send(Instant::now()).expect("told");
    });
    let client = client();
    let mut reader = Reader::open(&client, &url, BodyKind::None, Policy::default());
    gone.recv_timeout(PATIENCE).expect("the request arrives");
    let closed = Instant::now();
    reader.exchange.close();
    let seen = gone.recv_timeout(PATIENCE).expect("the FIN arrives");
    assert!(seen.duration_since(closed) < Duration::from_secs(1));
    thread.join().expect("the upstream ends well");
}

#[test]
fn st7_a_reader_that_stops_reading_stops_the_upstream() {
    let (url, thread) = upstream(1, |_, stream| {
        read_head(stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").expect("sent");
        stream.set_write_timeout(Some(Duration::from_millis(500))).expect("a timeout");
        let (block, mut sent) = ([0; 64 * 1024], 0);
        let stopped = loop {
            match stream.write(&block) {
                Ok(len) => sent += len,
                Err(err) => break err,
            }
        };
        assert!(matches!(stopped.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{stopped}");
        assert!(sent < 8 * 1024 * 1024, "{sent} bytes were taken");
    });
    let client = client();
    let mut reader = Reader::open(&client, &url, BodyKind::None, Policy::default());
    reader.head().expect("a head");
    thread.join().expect("the upstream was stopped");
}

#[test]
fn to2_each_clock_names_its_phase() {
    let (url, thread) = upstream(3, |_, stream| {
        read_head(stream);
        assert_eq!(stream.read(&mut [0]).expect("a FIN"), 0);
    });
    let client = client();
    let brief = Some(Duration::from_millis(50));
    let cases = [
        (Timeouts { head: brief, ..Timeouts::default() }, Phase::Head, "(timeout)"),
        (Timeouts { total: brief, ..Timeouts::default() }, Phase::Total, "(total_timeout)"),
        (Timeouts { head: brief, idle: brief, ..Timeouts::default() }, Phase::Head, "(timeout)"),
    ];
    for (timeouts, phase, setting) in cases {
        let policy = Policy { timeouts, ..Policy::default() };
        let mut reader = Reader::open(&client, &url, BodyKind::None, policy);
        let failure = reader.head().expect_err("late");
        assert_eq!((failure.kind, failure.phase), (Kind::Timeout, phase));
        assert!(failure.to_string().contains(setting), "{failure}");
    }
    let zero = Timeouts { head: Some(Duration::ZERO), ..Timeouts::default() };
    let policy = Policy { timeouts: zero, ..Policy::default() };
    let mut reader = Reader::open(&client, &url, BodyKind::None, policy);
    assert_eq!(reader.head().expect_err("at once").phase, Phase::Head);
    thread.join().expect("the upstream ends well");
}
